// Package auth is the contract of authenticators (spec chapter 33) and what all of them share: the generic options, the
// checks around a server's and a client's exchange. Each driver is a package below this one.
//
// Trust: responses come from clients that nobody has authenticated yet, challenges from servers; the options are the
// administrator's.
package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// Generic are the options that all authenticators share (spec 33.1).
type Generic struct {
	Driver                                            string
	PublicName                                        string
	ClientCondition, ClientSetID                      option.Expanded
	ServerAdvertiseCondition, ServerCondition         option.Expanded
	ServerDebugPrint, ServerSetID, ServerMailAuthCond option.Expanded
}

// GenericOptions is the table of the generic options.
func GenericOptions() option.Table[Generic] {
	return option.Table[Generic]{Scope: config.ScopeAuthenticators, Rows: []option.Row[Generic]{
		{Name: "client_condition", Field: func(g *Generic) any { return &g.ClientCondition }, Doc: "A client skips the authenticator when this expands to no."},
		{Name: "client_set_id", Field: func(g *Generic) any { return &g.ClientSetID }, Doc: "Identity logged when a client has authenticated."},
		{Name: "driver", Field: func(g *Generic) any { return &g.Driver }, Doc: "Which authenticator this is."},
		{Name: "public_name", Field: func(g *Generic) any { return &g.PublicName }, Doc: "Name of the mechanism on the wire; the instance's name by default."},
		{Name: "server_advertise_condition", Field: func(g *Generic) any { return &g.ServerAdvertiseCondition }, Doc: "The mechanism is offered only when this expands to yes."},
		{Name: "server_condition", Field: func(g *Generic) any { return &g.ServerCondition }, Doc: "Decides about a client, or confirms the driver's decision."},
		{Name: "server_debug_print", Field: func(g *Generic) any { return &g.ServerDebugPrint }, Doc: "Text for debugging output."},
		{Name: "server_mail_auth_condition", Field: func(g *Generic) any { return &g.ServerMailAuthCond }, Doc: "Whether AUTH= of MAIL is believed."},
		{Name: "server_set_id", Field: func(g *Generic) any { return &g.ServerSetID }, Doc: "Identity kept in $authenticated_id."},
	}}
}

// Driver is one kind of authenticator.
type Driver struct {
	Name, Doc string
	// Options is the table of the driver's private options.
	Options option.Set
	// Check examines an instance when the file is read; it may be nil. Errors are worded as Exim words them.
	Check func(*config.Instance) error
	// IsServer and IsClient tell whether the instance's options make it act as one; nil: never.
	IsServer, IsClient func(*Authenticator) bool
	// Server runs the exchange with a client that asked for the mechanism. It fills ServerExchange.Values.
	Server func(ctx context.Context, x *ServerExchange) (Result, string)
	// Client authenticates to a server.
	Client func(ctx context.Context, x *ClientExchange) (Result, error)
	// Version is what -bV says about a library behind, "" for none.
	Version string
}

// Row returns the driver as the configuration reader wants it.
func (d *Driver) Row() config.Driver {
	return config.Driver{Kind: config.Authenticator, Name: d.Name, Options: []option.Set{d.Options}, Check: d.Check}
}

// Authenticator is an instance of a driver.
type Authenticator struct {
	Name, PublicName string
	Driver           *Driver
	Generic          *Generic
	Options          option.Bag
	// Server and Client say what the options make of it.
	Server, Client bool
}

// Compile makes authenticators of the configured instances, in file order. The error says which driver is not known.
func Compile(instances []*config.Instance, drivers []*Driver) ([]*Authenticator, error) {
	out := make([]*Authenticator, 0, len(instances))
	for _, in := range instances {
		var driver *Driver
		for _, d := range drivers {
			if d.Name == in.Driver {
				driver = d
			}
		}
		if driver == nil {
			return nil, fmt.Errorf("authenticator %s: driver \"%s\" not found", in.Name, in.Driver)
		}
		out = append(out, New(in.Name, driver, in.Options))
	}
	return out, nil
}

// New makes an authenticator of a driver with the options of the bag.
func New(name string, driver *Driver, bag option.Bag) *Authenticator {
	a := &Authenticator{Name: name, Driver: driver, Options: bag, Generic: option.Of[Generic](bag)}
	a.PublicName = a.Generic.PublicName
	if a.PublicName == "" {
		a.PublicName = name
	}
	a.Server = driver.Server != nil && driver.IsServer != nil && driver.IsServer(a)
	a.Client = driver.Client != nil && driver.IsClient != nil && driver.IsClient(a)
	return a
}

// Result is how an exchange ended.
type Result int

// Results of exchanges. For a server: OK, Fail, Defer (temporary; the text goes to the client), Cancelled (the client sent
// "*"), BadBase64, Unexpected (a response where none was due) and Lost (the connection is gone). For a client: OK, Fail (the
// server said no: try the next), Cancelled (we gave up: try the next; with an error that is for the log, without one because an
// expansion was forced to fail), and with an error Defer, for everything that ends the attempt to use the server.
const (
	OK Result = iota
	Fail
	Defer
	Cancelled
	BadBase64
	Unexpected
	Lost
)

// ErrLost says that the connection ended within an exchange.
var ErrLost = errors.New("connection lost during authentication")

// ErrTimeout says that the other side did not answer in time.
var ErrTimeout = errors.New("timeout during authentication")

// Expander expands strings; *expand.Engine is one.
type Expander interface {
	Expand(s *expand.Scope, text string) (mail.Value, error)
}

// ServerExchange is the exchange with a client.
type ServerExchange struct {
	Authenticator *Authenticator
	World         *outside.World
	Engine        Expander
	// Scope is the session's; the exchange sets $auth1 ... and $1 ... in it.
	Scope *expand.Scope
	// Initial is what stood after the mechanism's name, still in base64: "" for nothing, "=" for an empty response.
	Initial string
	// Challenge sends "334 " and the text in base64 and returns the client's line as it came. The error is ErrLost or ErrTimeout.
	Challenge func(text []byte) (line string, err error)
	// Hostname is $primary_hostname.
	Hostname string
	// Public is the text for the client that goes with Defer: what a condition yielded that means neither yes nor no.
	Public string

	values []string
}

// SetValues makes $auth1, $auth2 ... of the values, and $1 ... for configurations of old. Values come from the client and are tainted.
func (x *ServerExchange) SetValues(values ...string) {
	x.values = values
	setValues(x.Scope, values, true)
}

// Values returns what SetValues set.
func (x *ServerExchange) Values() []string { return x.values }

func setValues(s *expand.Scope, values []string, numbers bool) {
	if s.Extra == nil {
		s.Extra = make(map[string]mail.Value)
	}
	for i, name := range [...]string{"auth1", "auth2", "auth3"} {
		if i < len(values) {
			s.Extra[name] = mail.Taint(values[i])
		} else {
			delete(s.Extra, name)
		}
	}
	if !numbers {
		return
	}
	s.Numbers = s.Numbers[:0]
	if len(values) > 0 {
		s.Numbers = append(s.Numbers, mail.Value{})
		for _, v := range values {
			s.Numbers = append(s.Numbers, mail.Taint(v))
		}
	}
}

// ClearValues forgets $auth1 ... and $1 ... after an exchange.
func ClearValues(s *expand.Scope) { setValues(s, nil, true) }

// Condition expands server_condition or an option of its kind and says what it means for the client (spec 33.1,
// "server_condition"): a forced failure, an empty string, 0, no and false are Fail; 1, yes and true OK; all else, and other
// failures, Defer with the text for the client. unset is the result when text is empty.
func (x *ServerExchange) Condition(text option.Expanded, unset Result) (Result, string) {
	if text == "" {
		return unset, ""
	}
	v, err := x.Engine.Expand(x.Scope, string(text))
	if err != nil {
		if errors.Is(err, expand.ErrForced) {
			return Fail, ""
		}
		return Defer, err.Error()
	}
	result, message := Decide(v.S)
	x.Public = message
	return result, message
}

// Decide reads the result of a condition; see Condition.
func Decide(s string) (Result, string) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "0", "no", "false":
		return Fail, ""
	case "1", "yes", "true":
		return OK, ""
	}
	return Defer, s
}

// ClientExchange is the exchange with a server.
type ClientExchange struct {
	Authenticator *Authenticator
	World         *outside.World
	Engine        Expander
	// Scope has $host and $host_address of the server.
	Scope *expand.Scope
	// Send sends a line and reads the reply: its code and the text of its last line. The error is of the connection.
	Send func(line string) (code int, text string, err error)
	// Hostname is $primary_hostname.
	Hostname string
	// Buffer is the last reply, for the log.
	Reply string
}

// Expand expands an option of the client's side. A forced failure is Cancelled with a nil error, any other failure Defer with an
// error that says so.
func (x *ClientExchange) Expand(text string) (string, Result, error) {
	v, err := x.Engine.Expand(x.Scope, text)
	switch {
	case err == nil:
		return v.S, OK, nil
	case errors.Is(err, expand.ErrForced):
		return "", Cancelled, nil
	}
	return "", Defer, fmt.Errorf("expansion of \"%s\" failed in %s authenticator: %s", text, x.Authenticator.Name, err)
}

// SetPrompts sets $auth1 ... to what the server sent.
func (x *ClientExchange) SetPrompts(values []string) { setValues(x.Scope, values, false) }

// ClientID expands client_set_id after a success; "" when it is unset or fails.
func (x *ClientExchange) ClientID() string {
	if x.Authenticator.Generic.ClientSetID == "" {
		return ""
	}
	v, err := x.Engine.Expand(x.Scope, string(x.Authenticator.Generic.ClientSetID))
	if err != nil {
		return ""
	}
	return v.S
}

// Usable tells whether client_condition lets the client use the authenticator. An expansion that fails says no, unless the
// failure is temporary, which is the error.
func (x *ClientExchange) Usable() (bool, error) {
	condition := x.Authenticator.Generic.ClientCondition
	if condition == "" {
		return true, nil
	}
	v, err := x.Engine.Expand(x.Scope, string(condition))
	if err != nil {
		if expand.IsTemporary(err) {
			return false, err
		}
		return false, nil
	}
	switch strings.ToLower(strings.TrimSpace(v.S)) {
	case "", "0", "no", "false":
		return false, nil
	}
	return true, nil
}

// ByCode turns a server's reply into the result of a client's exchange: 2xx is OK, 5xx Fail, all else Defer with an error.
func ByCode(code int, reply string) (Result, error) {
	switch code / 100 {
	case 2:
		return OK, nil
	case 5:
		return Fail, nil
	}
	return Defer, fmt.Errorf("%d %s", code, reply)
}
