package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unsafe"

	"exigo/internal/feature/brightmail/bmiclient"

	"github.com/ebitengine/purego"
)

// object is something that the library made; 0 is none. code is its BmiError, which only the library can read: it is taken to be no larger
// than a machine word, as an enumeration, a pointer or a small structure is.
type (
	object = uintptr
	code   = uintptr
)

// calls are the functions of the library, by the names of bmi_api.h. Those that free something may be missing.
type calls struct {
	initSystem        func(version uintptr, config string, system *object) code
	initMessage       func(system object, message *object) code
	processConnection func(address string, message object) code
	processFROM       func(sender string, message object) code
	optinInit         func(optin *object) code
	optinMset         func(optin object, words string, separator int) code
	accumulateTO      func(address string, optin, message object) code
	optinFree         func(optin object) code
	endTO             func(message object) code
	accumulateHeaders func(text string, length int, message object) code
	endHeaders        func(message object) code
	accumulateBody    func(data *byte, length int, message object) code
	endBody           func(message object) code
	endMessage        func(message object) code
	firstVerdict      func(message object) object
	nextVerdict       func(message, verdict object) object
	strFromVerdict    func(verdict object, text **byte) code

	verdictFromStr     func(text string, verdict *object) code
	verdictError       func(verdict object) code
	isDefault          func(verdict object) int32
	destination        func(verdict object) *byte
	firstRecipient     func(verdict object) object
	nextRecipient      func(verdict, recipient object) object
	recipientAddress   func(recipient object) *byte
	oldStrFromVerdict  func(verdict object, text **byte) code
	ruleFired          func(verdict object, rule int) int32
	errorIsFatal       func(err code) int32
	errorGetLocation   func(err code) int32
	errorGetType       func(err code) int32
	freeMessage        func(message object)
	freeSystem         func(system object)
	freeVerdict        func(verdict object)
	freeStr            func(text *byte)
	version            uintptr
	versionText        []byte // what version points to, if it is no number
	blockSize, maxText int
}

// open loads the libraries. Where that fails, every request is answered with the reason.
func open(s bmiclient.Setup) bmiclient.Library {
	c, err := load(s)
	if err == nil {
		return bmiclient.Library{Scan: c.scan, Read: c.read, Fired: c.fired}
	}
	return bmiclient.Library{
		Scan:  func(*bmiclient.Message, io.Reader) ([]string, []string, error) { return nil, nil, err },
		Read:  func(string) (*bmiclient.Verdict, error) { return nil, err },
		Fired: func(string, int) (bool, error) { return false, err },
	}
}

func load(s bmiclient.Setup) (*calls, error) {
	c := &calls{blockSize: 4096, maxText: 16 << 20}
	var handle uintptr
	for _, name := range s.Libraries {
		var err error
		if handle, err = purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL); err != nil {
			return nil, fmt.Errorf("cannot load %s: %w", name, err)
		}
	}
	if n, err := strconv.ParseInt(s.Version, 0, 64); err == nil {
		c.version = uintptr(n)
	} else {
		c.versionText = append([]byte(s.Version), 0)
		c.version = uintptr(unsafe.Pointer(&c.versionText[0]))
	}
	for _, f := range c.table() {
		address, err := purego.Dlsym(handle, f.name)
		switch {
		case err == nil:
			purego.RegisterFunc(f.call, address)
		case !f.optional:
			return nil, fmt.Errorf("%s has no function %s", s.Libraries[len(s.Libraries)-1], f.name)
		}
	}
	return c, nil
}

type row struct {
	name     string
	call     any
	optional bool
}

func (c *calls) table() []row {
	return []row{
		{"bmiInitSystem", &c.initSystem, false},
		{"bmiInitMessage", &c.initMessage, false},
		{"bmiProcessConnection", &c.processConnection, false},
		{"bmiProcessFROM", &c.processFROM, false},
		{"bmiOptinInit", &c.optinInit, false},
		{"bmiOptinMset", &c.optinMset, false},
		{"bmiAccumulateTO", &c.accumulateTO, false},
		{"bmiOptinFree", &c.optinFree, true},
		{"bmiEndTO", &c.endTO, false},
		{"bmiAccumulateHeaders", &c.accumulateHeaders, false},
		{"bmiEndHeaders", &c.endHeaders, false},
		{"bmiAccumulateBody", &c.accumulateBody, false},
		{"bmiEndBody", &c.endBody, false},
		{"bmiEndMessage", &c.endMessage, false},
		{"bmiAccessFirstVerdict", &c.firstVerdict, false},
		{"bmiAccessNextVerdict", &c.nextVerdict, false},
		{"bmiCreateStrFromVerdict", &c.strFromVerdict, false},
		{"bmiCreateVerdictFromStr", &c.verdictFromStr, false},
		{"bmiVerdictError", &c.verdictError, false},
		{"bmiVerdictDestinationIsDefault", &c.isDefault, false},
		{"bmiVerdictAccessDestination", &c.destination, false},
		{"bmiVerdictAccessFirstRecipient", &c.firstRecipient, false},
		{"bmiVerdictAccessNextRecipient", &c.nextRecipient, false},
		{"bmiRecipientAccessAddress", &c.recipientAddress, false},
		{"bmiCreateOldStrFromVerdict", &c.oldStrFromVerdict, false},
		{"bmiVerdictRuleFired", &c.ruleFired, false},
		{"bmiErrorIsFatal", &c.errorIsFatal, false},
		{"bmiErrorGetLocation", &c.errorGetLocation, false},
		{"bmiErrorGetType", &c.errorGetType, false},
		{"bmiFreeMessage", &c.freeMessage, true},
		{"bmiFreeSystem", &c.freeSystem, true},
		{"bmiFreeVerdict", &c.freeVerdict, true},
		{"bmiFreeStr", &c.freeStr, true},
	}
}

// failed makes a Failure of a fatal error, nil of every other one.
func (c *calls) failed(err code, text string) error {
	if c.errorIsFatal(err) == 0 {
		return nil
	}
	return &bmiclient.Failure{Location: int(c.errorGetLocation(err)), Type: int(c.errorGetType(err)), Text: text}
}

// text copies a string of the library.
func (c *calls) text(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for n < c.maxText && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return strings.Clone(unsafe.String(p, n))
}

// made copies a string that the library made, and frees it.
func (c *calls) made(p *byte) string {
	text := c.text(p)
	if p != nil && c.freeStr != nil {
		c.freeStr(p)
	}
	return text
}

// free calls a function that frees something, if there are both.
func free(call func(object), x object) {
	if call != nil && x != 0 {
		call(x)
	}
}

// scan has a message judged: the calls in the order that the library wants.
func (c *calls) scan(m *bmiclient.Message, body io.Reader) (verdicts, warnings []string, err error) {
	var system, message object
	if err = c.failed(c.initSystem(c.version, plain(m.ConfigFile), &system), "could not initialize Brightmail system."); err != nil {
		return nil, nil, err
	}
	defer func() { free(c.freeSystem, system) }()
	if err = c.failed(c.initMessage(system, &message), "could not initialize Brightmail message."); err != nil {
		return nil, nil, err
	}
	defer func() { free(c.freeMessage, message) }()
	if warnings, err = c.envelope(m, message); err != nil {
		return nil, warnings, err
	}
	if err = c.content(m, body, message); err != nil {
		return nil, warnings, err
	}
	for v := c.firstVerdict(message); v != 0; v = c.nextVerdict(message, v) {
		var text *byte
		if err = c.failed(c.strFromVerdict(v, &text), "bmiCreateStrFromVerdict() failed."); err != nil {
			return nil, warnings, err
		}
		verdicts = append(verdicts, c.made(text))
	}
	return verdicts, warnings, nil
}

// envelope gives connection, sender and recipients to the library. Opt-in data that it does not take are a warning.
func (c *calls) envelope(m *bmiclient.Message, message object) (warnings []string, err error) {
	if err = c.failed(c.processConnection(plain(m.Client), message), "bmiProcessConnection() failed (IP "+m.Client+")."); err != nil {
		return nil, err
	}
	if err = c.failed(c.processFROM(plain(m.Sender), message), "bmiProcessFROM() failed (address "+m.Sender+")."); err != nil {
		return nil, err
	}
	for _, r := range m.Recipients {
		var optin object
		if r.OptIn != "" {
			err := c.failed(c.optinInit(&optin), "bmiOptinInit() failed (address '"+r.Address+"').")
			if err == nil {
				err = c.failed(c.optinMset(optin, plain(r.OptIn), ':'), "bmiOptinMset() failed (address '"+r.Address+"', string '"+r.OptIn+"').")
			}
			if err != nil {
				warnings = append(warnings, err.Error())
			}
		}
		err = c.failed(c.accumulateTO(plain(r.Address), optin, message), "bmiAccumulateTO() failed (address "+r.Address+").")
		if optin != 0 && c.optinFree != nil {
			c.optinFree(optin)
		}
		if err != nil {
			return warnings, err
		}
	}
	return warnings, c.failed(c.endTO(message), "bmiEndTO() failed.")
}

// content gives header and body to the library.
func (c *calls) content(m *bmiclient.Message, body io.Reader, message object) error {
	for _, h := range m.Header {
		h = plain(h)
		if err := c.failed(c.accumulateHeaders(h, len(h), message), "bmiAccumulateHeaders() failed."); err != nil {
			return err
		}
	}
	if err := c.failed(c.endHeaders(message), "bmiEndHeaders() failed."); err != nil {
		return err
	}
	block := make([]byte, c.blockSize)
	for {
		n, err := io.ReadFull(body, block)
		if n > 0 {
			if err := c.failed(c.accumulateBody(&block[0], n, message), "bmiAccumulateBody() failed."); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := c.failed(c.endBody(message), "bmiEndBody() failed."); err != nil {
		return err
	}
	return c.failed(c.endMessage(message), "bmiEndMessage() failed.")
}

// opened makes a verdict of a string.
func (c *calls) opened(text string) (verdict object, err error) {
	if err = c.failed(c.verdictFromStr(plain(text), &verdict), "bmiCreateVerdictFromStr() failed. [ "+text+" ]"); err == nil {
		err = c.failed(c.verdictError(verdict), "bmiVerdictError() says so. [ "+text+" ]")
	}
	if err != nil {
		free(c.freeVerdict, verdict)
		return 0, err
	}
	return verdict, nil
}

// read opens a verdict.
func (c *calls) read(text string) (*bmiclient.Verdict, error) {
	v, err := c.opened(text)
	if err != nil {
		return nil, err
	}
	defer free(c.freeVerdict, v)
	out := &bmiclient.Verdict{Default: c.isDefault(v) != 0}
	if !out.Default {
		where := c.destination(v)
		out.Nowhere, out.Location = where == nil, c.text(where)
	}
	for r := c.firstRecipient(v); r != 0; r = c.nextRecipient(v, r) {
		out.Recipients = append(out.Recipients, c.text(c.recipientAddress(r)))
	}
	var tracker *byte
	if err := c.failed(c.oldStrFromVerdict(v, &tracker), "bmiCreateOldStrFromVerdict() failed."); err != nil {
		return nil, err
	}
	out.Tracker = c.made(tracker)
	return out, nil
}

// fired tells whether a rule fired for a verdict.
func (c *calls) fired(text string, rule int) (bool, error) {
	v, err := c.opened(text)
	if err != nil {
		return false, err
	}
	defer free(c.freeVerdict, v)
	return c.ruleFired(v, rule) != 0, nil
}

// plain takes out the NULs of a text, which would end it for C.
func plain(text string) string { return strings.ReplaceAll(text, "\x00", "") }
