package transport

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// Compile makes the transports of a configuration. The reader has had each driver check its instance (Driver.Check).
func Compile(instances []*config.Instance, drivers []*Driver) (map[string]*Transport, error) {
	byName := make(map[string]*Driver, len(drivers))
	for _, d := range drivers {
		byName[d.Name] = d
	}
	all := make(map[string]*Transport, len(instances))
	for _, inst := range instances {
		d, ok := byName[inst.Driver]
		if !ok {
			return nil, Mistake("transport %s: cannot find transport driver \"%s\"", inst.Name, inst.Driver)
		}
		t := &Transport{Name: inst.Name, Driver: d, Instance: inst, Generic: option.Of[Generic](inst.Options)}
		if err := checkGeneric(t); err != nil {
			return nil, err
		}
		t.texts = optionTexts([]option.Set{Options, d.Options}, inst.Options)
		all[inst.Name] = t
	}
	return all, nil
}

// Mistake makes a configuration error that names its transport itself.
func Mistake(format string, args ...any) error {
	return &config.Error{Text: fmt.Sprintf(format, args...)}
}

// checkGeneric examines the generic options of an instance.
func checkGeneric(t *Transport) error {
	g := t.Generic
	switch {
	case g.BodyOnly && g.HeadersOnly:
		return Mistake("%s transport: body_only and headers_only are mutually exclusive", t.Name)
	case g.ShadowTransport != "" && t.Driver.Local == nil:
		return Mistake("shadow transport not allowed on non-local transport %s", t.Name)
	}
	if _, err := strconv.ParseUint(string(g.User), 10, 31); err == nil && g.Group == "" {
		return Mistake("user set without group for the %s transport", t.Name)
	}
	return nil
}

// Expand expands an option of the transport. Forced failures come back as expand.ErrForced; other failures as an
// *Error that defers, in Exim's words: what is the option's description ("\"headers_add\" setting").
func (r *Run) Expand(text, what string) (expand.Value, error) {
	if !strings.ContainsAny(text, `$\`) {
		return mail.Clean(text), nil
	}
	v, err := r.Scope.Engine.Expand(r.Scope, text)
	if err == nil || errors.Is(err, expand.ErrForced) {
		return v, err
	}
	return v, Defer(mail.ErrnoExpandFail, "failed to expand %s \"%s\" in %s transport: %v", what, text, r.Transport.Name, err)
}

// Must is Expand where a forced failure is a failure like others.
func (r *Run) Must(text, what string) (expand.Value, error) {
	v, err := r.Expand(text, what)
	if errors.Is(err, expand.ErrForced) {
		return v, Defer(mail.ErrnoExpandFail, "failed to expand %s \"%s\" in %s transport: forced failure", what, text, r.Transport.Name)
	}
	return v, err
}

// Begin prepares a run for its transport: the scope, the return path, the size limit, and for local transports the user and
// the directories. The error, an *Error, is the outcome of all addresses; pass it to Settle.
func (r *Run) Begin() error {
	r.setScope()
	r.ReturnPath = r.Sender
	if a := r.Addresses[0]; a.ReturnPathSet {
		r.ReturnPath = a.ReturnPath
	}
	g := r.Transport.Generic
	if r.Transport.Instance.Set["return_path"] { // it may be set to nothing
		v, err := r.Expand(string(g.ReturnPath), "return_path")
		switch {
		case err == nil:
			r.ReturnPath = v.S
		case !errors.Is(err, expand.ErrForced):
			return err
		}
	}
	r.setExtra("return_path", mail.Taint(r.ReturnPath))
	r.debugPrint()
	if err := r.sizeLimit(); err != nil {
		return err
	}
	if r.Transport.Driver.Local == nil {
		return nil
	}
	if err := r.directories(); err != nil {
		return err
	}
	return r.identify()
}

// debugPrint obeys debug_print.
func (r *Run) debugPrint() {
	text := string(r.Transport.Generic.DebugPrint)
	if text == "" || r.Scope.Debug == nil {
		return
	}
	v, err := r.Scope.Engine.Expand(r.Scope, text)
	if err != nil {
		r.Scope.Debug("failed to expand debug_print for %s transport: %v", r.Transport.Name, err)
		return
	}
	r.Scope.Debug("%s", strings.TrimSuffix(v.S, "\n"))
}

// Switch makes another transport do the run; user and directories stay those of the first.
func (r *Run) Switch(t *Transport) {
	r.Transport, r.header = t, nil
	for _, a := range r.Addresses {
		a.Transport = t.Name
	}
	r.setExtra("transport_name", mail.Clean(t.Name))
}

// setScope makes the scope's address: a copy of the first, without what the others do not share (spec 23.4).
func (r *Run) setScope() {
	first := *r.Addresses[0]
	for _, a := range r.Addresses[1:] {
		first.LocalPart, first.CasefulLocalPart, first.LocalPartData = "", "", mail.Value{}
		first.Prefix, first.PrefixV, first.Suffix, first.SuffixV = "", "", "", ""
		if a.Domain != first.Domain {
			first.Domain, first.DomainData = "", mail.Value{}
		}
	}
	r.Scope.Address = &first
	switch first.Kind {
	case mail.KindFile:
		r.setExtra("address_file", mail.Clean(first.Address))
	case mail.KindPipe:
		r.setExtra("address_pipe", mail.Clean(first.Address))
	}
	r.setExtra("transport_name", mail.Clean(r.Transport.Name))
	r.setExtra("router_name", mail.Clean(first.Router))
}

func (r *Run) setExtra(name string, v expand.Value) {
	if r.Scope.Extra == nil {
		r.Scope.Extra = make(map[string]expand.Value)
	}
	r.Scope.Extra[name] = v
}

// sizeLimit fails a message above message_size_limit.
func (r *Run) sizeLimit() error {
	text := string(r.Transport.Generic.MessageSizeLimit)
	if text == "" || text == "0" {
		return nil
	}
	limit, err := r.Scope.Engine.ExpandInt(r.Scope, text)
	if err != nil {
		r.NoRetry = true
		return Defer(mail.ErrnoUnknown, "invalid message_size_limit in %s transport: %v", r.Transport.Name, err)
	}
	if limit > 0 && r.Message.Size > limit {
		err := Fail("message is too big (transport limit = %d)", limit)
		err.Outcome.LogOnly = true
		return err
	}
	return nil
}

// directories works out the home and the current directory (spec 23.3).
func (r *Run) directories() error {
	g, a := r.Transport.Generic, r.Addresses[0]
	r.Home, r.Current = a.HomeDirectory, a.CurrentDirectory
	if g.HomeDirectory != "" {
		v, err := r.Must(string(g.HomeDirectory), "home directory")
		if err != nil {
			return err
		}
		r.Home = v.S
	}
	r.Scope.Address.HomeDirectory = r.Home
	if g.CurrentDirectory != "" {
		v, err := r.Must(string(g.CurrentDirectory), "current directory")
		if err != nil {
			return err
		}
		r.Current = v.S
	}
	if r.Current == "" {
		r.Current = r.Home
	}
	if r.Current == "" {
		r.Current = "/"
	}
	return nil
}

// identify works out user and group (spec 23.2).
func (r *Run) identify() error {
	g, a := r.Transport.Generic, r.Addresses[0]
	uid, gid := r.Services.Identity.UID, r.Services.Identity.GID
	uidSet, gidSet, groups := false, false, false
	if g.Group != "" {
		n, err := r.groupID(string(g.Group))
		if err != nil {
			return err
		}
		gid, gidSet = n, true
	}
	switch {
	case g.User != "":
		u, primary, err := r.userID(string(g.User))
		if err != nil {
			return err
		}
		if uid, uidSet, groups = u, true, g.InitGroups; !gidSet && primary >= 0 {
			gid, gidSet = primary, true
		}
	case r.Transport.Driver.Local.Identity != nil:
		u, n, us, gs := r.Transport.Driver.Local.Identity(r)
		if us {
			uid, uidSet, groups = u, true, g.InitGroups
		}
		if gs && !gidSet {
			gid, gidSet = n, true
		}
	}
	if !uidSet && a.UIDSet {
		uid, uidSet, groups = a.UID, true, a.InitGroups
	}
	if !gidSet && a.GIDSet {
		gid, gidSet = a.GID, true
	}
	if uidSet && !gidSet {
		return Panic(mail.ErrnoGIDFail, "User set without group for %s transport", r.Transport.Name)
	}
	r.Identity = Identity{UID: uid, GID: gid}
	if groups {
		return r.supplementary(uid)
	}
	return nil
}

func (r *Run) supplementary(uid int) error {
	users := r.Services.World.Users
	u, found, err := users.ByUID(uid)
	if err != nil {
		return Defer(mail.ErrnoUIDFail, "failed to look up uid %d: %v", uid, err)
	}
	if !found {
		return nil
	}
	if r.Identity.Groups, err = users.GroupsOf(u); err != nil {
		return Defer(mail.ErrnoGIDFail, "failed to look up the groups of uid %d: %v", uid, err)
	}
	return nil
}

// userID finds a user by name or number; primary is the group of the account, -1 for a number.
func (r *Run) userID(text string) (uid, primary int, err error) {
	v, err := r.Must(text, "user")
	if err != nil {
		return 0, 0, err
	}
	if n, err := strconv.ParseUint(v.S, 10, 31); err == nil {
		return int(n), -1, nil
	}
	u, found, err := r.Services.World.Users.ByName(v.S)
	if err != nil {
		return 0, 0, Defer(mail.ErrnoUIDFail, "failed to look up user \"%s\" for %s transport: %v", v.S, r.Transport.Name, err)
	}
	if !found {
		return 0, 0, Panic(mail.ErrnoUIDFail, "failed to find user \"%s\" from expanded string \"%s\" for the %s transport", v.S, text, r.Transport.Name)
	}
	return u.UID, u.GID, nil
}

func (r *Run) groupID(text string) (int, error) {
	v, err := r.Must(text, "group")
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseUint(v.S, 10, 31); err == nil {
		return int(n), nil
	}
	g, found, err := r.Services.World.Users.GroupByName(v.S)
	if err != nil {
		return 0, Defer(mail.ErrnoGIDFail, "failed to look up group \"%s\" for %s transport: %v", v.S, r.Transport.Name, err)
	}
	if !found {
		return 0, Panic(mail.ErrnoGIDFail, "failed to find group \"%s\" from expanded string \"%s\" for the %s transport", v.S, text, r.Transport.Name)
	}
	return g.GID, nil
}

// Settle gives every address that is still Pending the outcome that the error tells of; nil leaves them as they are.
func (r *Run) Settle(err error) {
	if err == nil {
		return
	}
	var e *Error
	o := mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoUnknown, Message: err.Error()}
	if errors.As(err, &e) {
		o = e.Outcome
	}
	for _, a := range r.Addresses {
		if a.Outcome.Result == mail.Pending {
			keep := a.Outcome.RetryKeys
			a.Outcome = o
			a.Outcome.RetryKeys = append(keep, o.RetryKeys...)
		}
	}
}
