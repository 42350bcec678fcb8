package route

import (
	"errors"
	"fmt"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// prepare tests the preconditions in the order of spec 3.12 and sets what the router is to see: affixes, data of lists,
// home directory, r_ variables, address_data.
func (r *Run) prepare() verdict {
	a, g := r.Address, r.Router.Generic
	a.LocalPart = a.CasefulLocalPart
	if !g.CasefulLocalPart {
		a.LocalPart = lower(a.CasefulLocalPart)
	}
	a.DomainData, a.LocalPartData = mail.Value{}, mail.Value{}
	a.UIDSet, a.GIDSet, a.InitGroups = false, false, false
	r.setHome("")
	if lacking := r.affixes(); lacking != "" {
		return r.skipped(lacking, " mismatch")
	}
	if why := r.unwanted(); why != "" {
		return r.skipped(why, "")
	}
	for _, test := range []func() verdict{
		r.domains, r.localParts, r.checkLocalUser, r.homeDirectory, r.debugPrint, r.senders, r.requireFiles, r.condition,
		r.extensions, r.setVariables, r.addressData,
	} {
		if v := test(); v != proceed {
			return v
		}
	}
	return proceed
}

// unwanted says why the router is not used for the kind of routing at hand; "" if it is.
func (r *Run) unwanted() string {
	g := r.Router.Generic
	verifying := r.Mode == mail.ForVerifyRecipient || r.Mode == mail.ForVerifySender
	switch {
	case verifying && !r.Router.verifies(r.Mode == mail.ForVerifySender):
		return "not used for verification"
	case verifying:
	case g.VerifyOnly:
		return "verify_only set"
	case r.Mode == mail.ForTesting && !g.AddressTest:
		return "address_test is unset"
	case r.Mode == mail.ForExpn && !g.Expn:
		return "expn is unset"
	}
	return ""
}

// Postpone sets the texts of a deferral.
func (r *Run) Postpone(errno int, format string, args ...any) Outcome {
	r.Address.Outcome.Errno, r.Address.Outcome.Message = errno, fmt.Sprintf(format, args...)
	r.Address.Outcome.LogOnly = true // it is about the configuration, which is none of the sender's business
	return Defer
}

// Refuse sets the text of a failure.
func (r *Run) Refuse(format string, args ...any) Outcome {
	r.Address.Outcome.Errno, r.Address.Outcome.Message, r.Address.Outcome.LogOnly = 0, fmt.Sprintf(format, args...), false
	return Fail
}

func (r *Run) postpone(errno int, format string, args ...any) verdict {
	r.Postpone(errno, format, args...)
	return postpone
}

// Panic writes a line to the main and panic log.
func (r *Run) Panic(format string, args ...any) {
	r.Engine.panic(r.Scope, fmt.Sprintf(format, args...))
}

// Log writes a line to the main log.
func (r *Run) Log(format string, args ...any) {
	r.Engine.log(r.Scope, fmt.Sprintf(format, args...))
}

func (r *Run) setHome(dir string) {
	r.home = dir
	r.Address.HomeDirectory = dir
}

// matched judges the result of a list for the option of that name.
func (r *Run) matched(name string, m bool, err error) verdict {
	switch {
	case err == nil && m:
		return proceed
	case err == nil, errors.Is(err, expand.ErrForced):
		return r.skipped(name, " mismatch")
	}
	return r.postpone(mail.ErrnoListDefer, "%s check lookup or other defer", name)
}

func (r *Run) domains() verdict {
	text := string(r.Router.Generic.Domains)
	if text == "" {
		return proceed
	}
	r.checking("domains")
	m, err := list.Domain(r.Scope, text, r.Address.Domain)
	r.Address.DomainData = m.Data
	return r.matched("domains", m.Matched, err)
}

func (r *Run) localParts() verdict {
	text := string(r.Router.Generic.LocalParts)
	if text == "" {
		return proceed
	}
	r.checking("local_parts")
	m, err := list.LocalPart(r.Scope, text, r.Address.LocalPart, r.Router.Generic.CasefulLocalPart)
	r.Address.LocalPartData = m.Data
	return r.matched("local_parts", m.Matched, err)
}

func (r *Run) senders() verdict {
	text := string(r.Router.Generic.Senders)
	if text == "" {
		return proceed
	}
	sender := ""
	if r.Scope.Message != nil {
		sender = r.Scope.Message.Sender
	}
	r.checking("senders")
	m, err := list.Address(r.Scope, text, sender)
	return r.matched("senders", m.Matched, err)
}

// checkLocalUser finds the account of the local part.
func (r *Run) checkLocalUser() verdict {
	if !r.Router.Generic.CheckLocalUser {
		return proceed
	}
	r.checking("for local user")
	u, found, err := r.Scope.Engine.World.Users.ByName(r.Address.LocalPart)
	switch {
	case err != nil:
		return r.postpone(-1, "failed to look up user \"%s\": %s", r.Address.LocalPart, err)
	case !found:
		return r.skipped(r.Address.LocalPart, " is not a local user")
	}
	r.LocalUser = &LocalUser{Name: u.Name, UID: u.UID, GID: u.GID, Home: u.Home}
	r.Address.LocalPartData = mail.Clean(u.Name)
	r.Address.UID, r.Address.GID, r.Address.UIDSet, r.Address.GIDSet = u.UID, u.GID, true, true
	r.setHome(u.Home)
	return proceed
}

// homeDirectory sets $home from router_home_directory.
func (r *Run) homeDirectory() verdict {
	text := string(r.Router.Generic.HomeDirectory)
	if text == "" {
		return proceed
	}
	v, err := r.expand(text)
	switch {
	case err == nil:
		r.setHome(v.S)
	case !errors.Is(err, expand.ErrForced):
		return r.postpone(mail.ErrnoUnknown, "failed to expand \"%s\" for router_home_directory: %s", text, err)
	}
	return proceed
}

// debugPrint shows the text of debug_print where somebody looks.
func (r *Run) debugPrint() verdict {
	text, show := string(r.Router.Generic.DebugPrint), r.Engine.services.Debug
	if text == "" || show == nil {
		return proceed
	}
	v, err := r.expand(text)
	if err != nil {
		show(fmt.Sprintf("failed to expand debug_output \"%s\": %s\n", text, err))
		return proceed
	}
	if !strings.HasSuffix(v.S, "\n") {
		v.S += "\n"
	}
	show(v.S)
	return proceed
}

// extensions asks features for their preconditions.
func (r *Run) extensions() verdict {
	for i := range r.Engine.services.Extensions {
		if x := &r.Engine.services.Extensions[i]; x.Wanted != nil && x.fits(r) && !x.Wanted(r) {
			return r.skipped("not wanted", " for this message")
		}
	}
	return proceed
}

// condition is the last precondition of the specification.
func (r *Run) condition() verdict {
	text := string(r.Router.Generic.Condition)
	if text == "" {
		return proceed
	}
	if r.Engine.tracing() {
		r.Engine.trace("checking \"condition\" \"%s\"...", text)
	}
	value, ok, _ := r.Truth(text)
	switch {
	case !ok:
		return postpone
	case value:
		return proceed
	}
	return r.skipped("condition", " failure")
}

// setVariables sets the r_ variables of the set option.
func (r *Run) setVariables() verdict {
	text := string(r.Router.Generic.SetVariables)
	if text == "" {
		return proceed
	}
	for _, item := range splitSemicolon(text) {
		name, value, _ := strings.Cut(item, "=")
		name = strings.TrimRight(name, " \t")
		v, err := r.expand(strings.TrimLeft(value, " \t\n"))
		switch {
		case errors.Is(err, expand.ErrForced):
			return decline
		case expand.IsTemporary(err):
			return r.postpone(mail.ErrnoUnknown, "expansion of \"%s\" failed in %s router: %s", value, r.Router.Name, err)
		case err != nil:
			r.Refuse("Temporary internal error")
			return refuse
		}
		key, ok := strings.CutPrefix(name, "r_")
		if !ok {
			r.Panic("bad router variable name '%s' in router '%s'", name, r.Router.Name)
			r.Refuse("Temporary internal error")
			return refuse
		}
		vars := make(map[string]mail.Value, len(r.Address.Vars)+1)
		for k, old := range r.Address.Vars {
			vars[k] = old
		}
		vars[key] = v
		if r.Engine.tracing() {
			r.Engine.trace("set r_%s = '%s'", key, v.S)
		}
		r.Address.Vars = vars
	}
	return proceed
}

// splitSemicolon splits a list whose separator is a semicolon unless it says otherwise.
func splitSemicolon(text string) []string {
	if !strings.HasPrefix(strings.TrimLeft(text, " \t\n"), "<") {
		text = "<;" + text
	}
	return option.SplitList(text)
}

// addressData sets $address_data just before the router runs.
func (r *Run) addressData() verdict {
	text := string(r.Router.Generic.AddressData)
	if text == "" && !r.Router.Set["address_data"] {
		return proceed
	}
	v, err := r.expand(text)
	switch {
	case errors.Is(err, expand.ErrForced):
		return decline
	case err != nil:
		return r.postpone(mail.ErrnoUnknown, "expansion of \"%s\" failed in %s router: %s", text, r.Router.Name, err)
	}
	r.Address.AddressData = v
	return proceed
}
