package route

import (
	"fmt"
	"strings"
)

// ConfigError is a mistake in the settings of the routers.
type ConfigError struct {
	// Instance is the router; its Line is to be named only if Located is set.
	Instance *Instance
	Located  bool
	// For names the router in the first line of Exim's report ("r router" in "Exim configuration error for r router:");
	// "" when the report has no such name.
	For string
	// Text is the report's second part.
	Text string
}

// Error returns the text alone; the reader of the configuration adds the first line.
func (e *ConfigError) Error() string { return e.Text }

// Compile checks the routers and makes an engine of them. Errors are of type *ConfigError.
func Compile(instances []*Instance, drivers []*Driver, services Services) (*Engine, error) {
	e := &Engine{byName: make(map[string]*Router, len(instances)), services: services}
	known := make(map[string]*Driver, len(drivers))
	for _, d := range drivers {
		known[d.Name] = d
	}
	for _, i := range instances {
		d, ok := known[i.Driver]
		if !ok {
			return nil, &ConfigError{Instance: i, Located: true, Text: fmt.Sprintf("router %s: cannot find router driver \"%s\"", i.Name, i.Driver)}
		}
		r := &Router{Instance: i, Driver: d, Generic: Settings[Generic](i), Index: len(e.routers)}
		if err := r.compile(); err != nil {
			return nil, err
		}
		e.routers = append(e.routers, r)
		e.byName[i.Name] = r
	}
	for _, r := range e.routers {
		if err := e.link(r); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// compile checks one router by itself.
func (r *Router) compile() error {
	g := r.Generic
	var err error
	if r.self, err = parseSelf(g.Self); err != nil {
		return r.mistake(err)
	}
	if r.Driver.Check != nil {
		if err := r.Driver.Check(r.Instance); err != nil {
			return r.mistake(err)
		}
	}
	switch {
	case r.Driver.Transport == TransportRequired && g.Transport == "" && !g.VerifyOnly:
		return &ConfigError{Instance: r.Instance, Text: r.Name + " router:\n  a transport is required for this router"}
	case r.Driver.Transport == TransportForbidden && g.Transport != "":
		return &ConfigError{Instance: r.Instance, Text: r.Name + " router:\n  a transport must not be defined for this router"}
	}
	r.RetryByAddress = g.retryByAddress()
	if g.RetryUseLocalPart != nil {
		r.RetryByAddress = *g.RetryUseLocalPart
	}
	return nil
}

// retryByAddress is the default of retry_use_local_part (spec chapter 15): set where the local part decides.
func (g *Generic) retryByAddress() bool {
	return g.CheckLocalUser || g.LocalParts != "" || g.Condition != "" || g.Prefix != nil || g.Suffix != nil || g.Senders != "" || g.RequireFiles != ""
}

// ShownDefault is what -bP shows for an option of the driver's instance that is not set and has no fixed default (config.Driver).
func (d *Driver) ShownDefault(i *Instance, name string) any {
	switch name {
	case "verify_sender", "verify_recipient":
		verify := Settings[Generic](i).Verify
		return verify == nil || *verify
	case "log_as_local":
		return d.LogAsLocal
	case "retry_use_local_part":
		return Settings[Generic](i).retryByAddress()
	}
	if d.Shown != nil {
		return d.Shown(i, name)
	}
	return nil
}

func (r *Router) mistake(err error) error {
	return &ConfigError{Instance: r.Instance, For: r.Name + " router", Text: err.Error()}
}

// link finds the routers that pass_router and redirect_router name.
func (e *Engine) link(r *Router) error {
	find := func(name string) (*Router, error) {
		to, ok := e.byName[name]
		if !ok {
			return nil, &ConfigError{Instance: r.Instance, Text: fmt.Sprintf("new_router \"%s\" not found for \"%s\" router", name, r.Name)}
		}
		return to, nil
	}
	var err error
	if name := r.Generic.PassRouter; name != "" {
		if r.pass, err = find(name); err != nil {
			return err
		}
		if r.pass.Index <= r.Index {
			return &ConfigError{Instance: r.Instance, Text: fmt.Sprintf("new_router \"%s\" does not follow \"%s\" router", name, r.Name)}
		}
	}
	if name := r.Generic.RedirectRouter; name != "" {
		r.redirect, err = find(name)
	}
	return err
}

// LogAsLocal tells whether deliveries of the router's addresses are logged without a domain.
func (r *Router) LogAsLocal() bool {
	if r.Generic.LogAsLocal != nil {
		return *r.Generic.LogAsLocal
	}
	return r.Driver.LogAsLocal
}

// verifies tells whether the router is used for verification of senders or recipients.
func (r *Router) verifies(sender bool) bool {
	which := r.Generic.VerifyRecipient
	if sender {
		which = r.Generic.VerifySender
	}
	if which == nil {
		which = r.Generic.Verify
	}
	return which == nil || *which
}

// selfKind is what the self option asks for.
type selfKind int

const (
	selfFreeze selfKind = iota
	selfDefer
	selfSend
	selfPass
	selfFail
	selfReroute
)

// selfAction is the parsed self option.
type selfAction struct {
	kind    selfKind
	rewrite bool
	domain  string
}

func parseSelf(text string) (selfAction, error) {
	kinds := map[string]selfKind{"": selfFreeze, "freeze": selfFreeze, "defer": selfDefer, "send": selfSend, "pass": selfPass, "fail": selfFail}
	if kind, ok := kinds[text]; ok {
		return selfAction{kind: kind}, nil
	}
	if rest, ok := strings.CutPrefix(text, "reroute:"); ok {
		rest = strings.TrimLeft(rest, " \t")
		domain, rewrite := strings.CutPrefix(rest, "rewrite:")
		return selfAction{kind: selfReroute, rewrite: rewrite, domain: strings.TrimLeft(domain, " \t")}, nil
	}
	return selfAction{}, fmt.Errorf("%s is not valid for the self option", text)
}
