package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"exigo/internal/feature/pam/pamclient"

	"github.com/ebitengine/purego"
)

// calls are functions of libpam and of the C library, whose allocator owns what a conversation answers. A handle is what pam_start made, 0
// is none.
type calls struct {
	start        func(service, user string, conversation *conversation, handle *uintptr) int32
	startConfdir func(service, user string, conversation *conversation, directory string, handle *uintptr) int32
	setItem      func(handle uintptr, item int32, value uintptr) int32
	authenticate func(handle uintptr, flags int32) int32
	account      func(handle uintptr, flags int32) int32
	end          func(handle uintptr, status int32) int32
	strerror     func(handle uintptr, code int32) *byte
	calloc       func(number, size uintptr) unsafe.Pointer
	strdup       func(text string) unsafe.Pointer
	free         func(p unsafe.Pointer)

	converseCallback, delayCallback uintptr
	// current is the dialogue of the request at hand: there is one at a time.
	current *dialogue
}

// conversation is struct pam_conv, message struct pam_message, response struct pam_response. What is not named is of no use here.
type (
	conversation struct{ call, _ uintptr }
	message      struct {
		style int32
		_     *byte
	}
	response struct {
		text unsafe.Pointer
		code int32
	}
)

// Numbers of Linux-PAM's headers.
const (
	silent        = 0x8000
	itemFailDelay = 10
	promptEchoOff = 1
	promptEchoOn  = 2
	errorMessage  = 3
	textInfo      = 4
	maxMessages   = 32
)

// maxDescription bounds what PAM says about an error.
const maxDescription = 500

// open loads the library. Where that fails, every request is answered with the reason.
func open(name string) func(*pamclient.Request) pamclient.Answer {
	c, err := load(name)
	if err != nil {
		return func(*pamclient.Request) pamclient.Answer { return pamclient.Answer{Problem: err.Error()} }
	}
	return c.ask
}

func load(name string) (*calls, error) {
	handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL) // modules need its symbols
	if err != nil {
		return nil, fmt.Errorf("cannot load %s: %w", name, err)
	}
	c := &calls{}
	for _, f := range []struct {
		name     string
		call     any
		optional bool
	}{
		{"pam_start", &c.start, false},
		{"pam_start_confdir", &c.startConfdir, true}, // Linux-PAM from 1.4 on
		{"pam_set_item", &c.setItem, false},
		{"pam_authenticate", &c.authenticate, false},
		{"pam_acct_mgmt", &c.account, false},
		{"pam_end", &c.end, false},
		{"pam_strerror", &c.strerror, false},
		{"calloc", &c.calloc, false},
		{"strdup", &c.strdup, false},
		{"free", &c.free, false},
	} {
		address, err := purego.Dlsym(handle, f.name)
		switch {
		case err == nil:
			purego.RegisterFunc(f.call, address)
		case !f.optional:
			return nil, fmt.Errorf("%s has no function %s", name, f.name)
		}
	}
	c.converseCallback = purego.NewCallback(c.converse)
	c.delayCallback = purego.NewCallback(c.failDelay)
	return c, nil
}

// ask authenticates a user and looks at his account.
func (c *calls) ask(q *pamclient.Request) (a pamclient.Answer) {
	c.current = &dialogue{answers: q.Answers}
	defer func() { c.current = nil }()
	var pinner runtime.Pinner
	defer pinner.Unpin()
	talk := &conversation{call: c.converseCallback}
	pinner.Pin(talk)
	var handle uintptr
	var code int32
	switch {
	case q.Directory == "":
		code = c.start(q.Service, q.User, talk, &handle)
	case c.startConfdir == nil:
		return pamclient.Answer{Problem: libraryName + " knows no other directory than its own"}
	default:
		code = c.startConfdir(q.Service, q.User, talk, q.Directory, &handle)
	}
	if code == pamclient.Success {
		// Who fails has to wait, but not this process: it is told how long. A library that cannot do so waits itself.
		_ = c.setItem(handle, itemFailDelay, c.delayCallback)
		if code = c.authenticate(handle, silent); code == pamclient.Success {
			code = c.account(handle, silent)
		}
	}
	a = pamclient.Answer{Code: int(code), Text: text(c.strerror(handle, code)), Delay: c.current.delay}
	if handle != 0 {
		_ = c.end(handle, code)
	}
	return a
}

// text copies a string of the library.
func text(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for n < maxDescription && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return strings.Clone(unsafe.String(p, n))
}

// failDelay is what the library calls in place of waiting.
func (c *calls) failDelay(code, microseconds uintptr, _ unsafe.Pointer) uintptr {
	if int32(code) != pamclient.Success && c.current != nil {
		c.current.delay = time.Duration(uint32(microseconds)) * time.Microsecond
	}
	return 0
}

// converse is what modules call to ask the user: messages in, an array of responses out, which the module frees.
func (c *calls) converse(number uintptr, messages **message, out *unsafe.Pointer, _ unsafe.Pointer) uintptr {
	n := int(int32(number))
	if c.current == nil || n <= 0 || n > maxMessages {
		return pamclient.Conversation
	}
	styles := make([]int32, n)
	for i, m := range unsafe.Slice(messages, n) {
		styles[i] = m.style
	}
	replies, ok := c.current.reply(styles)
	if !ok {
		return pamclient.Conversation
	}
	array := c.calloc(uintptr(n), unsafe.Sizeof(response{}))
	if array == nil {
		return pamclient.BufferError
	}
	responses := unsafe.Slice((*response)(array), n)
	for i, r := range replies {
		if r == nil {
			continue
		}
		if responses[i].text = c.strdup(*r); responses[i].text == nil {
			for j := range i {
				c.free(responses[j].text)
			}
			c.free(array)
			return pamclient.BufferError
		}
	}
	*out = array
	return pamclient.Success
}

// dialogue is what a request has to say to the modules.
type dialogue struct {
	answers []string
	// exhausted: a prompt found nothing left. It gets an empty answer; a module that asks on is told that the conversation failed, lest it ask
	// for ever.
	exhausted bool
	delay     time.Duration
}

// reply answers messages: prompts, with or without echo, with the next answer, texts and errors for the user with nil. ok is false when the
// conversation has failed.
func (d *dialogue) reply(styles []int32) (replies []*string, ok bool) {
	if d.exhausted {
		return nil, false
	}
	replies = make([]*string, len(styles))
	for i, style := range styles {
		switch style {
		case promptEchoOff, promptEchoOn:
			if len(d.answers) == 0 {
				d.exhausted = true
				replies[i] = new(string)
				continue
			}
			replies[i] = &d.answers[0]
			d.answers = d.answers[1:]
		case errorMessage, textInfo:
		default:
			return nil, false
		}
	}
	return replies, true
}
