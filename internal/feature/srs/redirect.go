package srs

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/address"
	"exigo/internal/proto/srs"
	"exigo/internal/route"
)

// settings are the room's options in the main section, routerSettings those of the redirect router.
type (
	settings struct {
		config                      string
		secrets                     []string
		hashLength, hashMin, maxAge int
		useHash, useTimestamp       bool
	}
	routerSettings struct {
		srs                                  string
		alias, condition, dbInsert, dbSelect option.Expanded
	}
)

// optionSets are the options of the form that libsrs_alt has.
func optionSets() []option.Set {
	return []option.Set{
		option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "srs_config", Field: func(s *settings) any { return &s.config }, Doc: "secret:maxage:hashlength:usetimestamp:usehash; what it gives overrides the single options."},
			{Name: "srs_hashlength", Default: "6", Field: func(s *settings) any { return &s.hashLength }, Doc: "Characters of the hash in rewritten addresses."},
			{Name: "srs_hashmin", Field: func(s *settings) any { return &s.hashMin }, Doc: "Characters that a hash must have to be believed; 0: srs_hashlength."},
			{Name: "srs_maxage", Default: "31", Field: func(s *settings) any { return &s.maxAge }, Doc: "Days that a rewritten address is good."},
			{Name: "srs_secrets", Field: func(s *settings) any { return &s.secrets }, Doc: "The first secret signs, all verify."},
			{Name: "srs_usehash", Default: "true", Field: func(s *settings) any { return &s.useHash }, Doc: "Rewritten addresses have a hash."},
			{Name: "srs_usetimestamp", Default: "true", Field: func(s *settings) any { return &s.useTimestamp }, Doc: "Rewritten addresses have a time stamp."},
		}},
		option.Table[routerSettings]{Scope: "router redirect", Rows: []option.Row[routerSettings]{
			{Name: "srs", Field: func(s *routerSettings) any { return &s.srs },
				Doc: "forward: the sender is rewritten; reverse: the recipient is decoded into $srs_recipient; reverseandforward: both."},
			{Name: "srs_alias", Field: func(s *routerSettings) any { return &s.alias }, Doc: "The domain of rewritten senders, else that of the address."},
			{Name: "srs_condition", Field: func(s *routerSettings) any { return &s.condition }, Doc: "When it is false, srs means nothing."},
			{Name: "srs_dbinsert", Field: func(s *routerSettings) any { return &s.dbInsert }, Doc: "Keeps $srs_db_address under $srs_db_key, which then stands in the rewritten sender."},
			{Name: "srs_dbselect", Field: func(s *routerSettings) any { return &s.dbSelect }, Doc: "Finds the address that was kept under $srs_db_key."},
		}},
	}
}

// guarded makes the scheme of the main options; problem says what is wrong with them.
func guarded(s *settings) (g *srs.Guarded, problem string) {
	g = &srs.Guarded{HashLength: s.hashLength, HashMin: s.hashMin, MaxAge: s.maxAge, NoHash: !s.useHash, NoStamp: !s.useTimestamp}
	for _, secret := range s.secrets {
		if secret != "" {
			g.Secrets = append(g.Secrets, secret)
		}
	}
	if s.config != "" && !g.Configure(s.config) {
		return g, "malformed srs_config"
	}
	if len(g.Secrets) == 0 && !g.NoHash {
		return g, "no secret in srs_secrets or srs_config"
	}
	return g, ""
}

// work is the option srs in one run of a router.
type work struct {
	*route.Run
	options *routerSettings
	scheme  *srs.Guarded
	st      *state
}

// before does what the option srs of a redirect router says.
func before(r *route.Run) (route.Outcome, bool) {
	w := &work{Run: r, options: option.Of[routerSettings](r.Router.Options)}
	if w.options.srs == "" {
		return 0, true
	}
	forward, reverse := false, false
	switch w.options.srs {
	case "forward":
		forward = true
	case "reverse":
		reverse = true
	case "reverseandforward":
		forward, reverse = true, true
	default:
		return r.Postpone(0, "%s router: srs must be forward, reverse or reverseandforward", r.Router.Name), false
	}
	if w.options.condition != "" {
		v, err := r.Scope.Engine.Expand(r.Scope, string(w.options.condition))
		if err != nil && !errors.Is(err, expand.ErrForced) {
			return r.Postpone(mail.ErrnoExpandFail, "%s router failed to expand \"%s\": %s", r.Router.Name, w.options.condition, err), false
		}
		switch v.S { // as the generic option condition
		case "", "0", "no", "false":
			return 0, true
		}
	}
	var problem string
	if w.scheme, problem = guarded(option.Of[settings](r.Scope.Config.MainOptions())); problem != "" {
		return r.Postpone(0, "%s router: SRS: %s", r.Router.Name, problem), false
	}
	w.st = mail.State[state](&r.Scope.Bag)
	*w.st = state{}
	if reverse {
		if outcome, ok := w.reverse(); !ok {
			return outcome, false
		}
	}
	switch {
	case forward && r.Router.Set["one_time"]: // what is spooled in the address's place would go out with the original sender
		return r.Postpone(0, "%s router: srs may not be used with one_time", r.Router.Name), false
	case forward:
		return w.forward()
	}
	return 0, true
}

// reverse decodes the recipient. What is no such address the router declines; one that we did not make fails.
func (w *work) reverse() (route.Outcome, bool) {
	local, _ := address.Split(w.Address.Address)
	decoded, key, err := w.scheme.Reverse(address.UnquoteLocalPart(local), w.now())
	w.st.originalRecipient = mail.Taint(w.Address.Address)
	switch {
	case errors.Is(err, srs.ErrForm):
		w.st.status = "NOTSRS"
		return route.Decline, false
	case errors.Is(err, srs.ErrHash):
		return w.fail("BADHASH", "Invalid SRS address: hash does not match")
	case err != nil:
		return w.fail("BADTIMESTAMP", "Invalid SRS address: time stamp is too old")
	case key != "":
		var outcome route.Outcome
		var ok bool
		if decoded, outcome, ok = w.selectKey(key); !ok {
			return outcome, false
		}
	}
	w.st.status, w.st.recipient = "OK", mail.Taint(quote(decoded))
	return 0, true
}

func (w *work) fail(status, text string) (route.Outcome, bool) {
	w.st.status = status
	w.Address.Outcome = mail.Outcome{Message: text, UserMessage: text}
	return route.Fail, false
}

// selectKey looks the address of a key up.
func (w *work) selectKey(key string) (string, route.Outcome, bool) {
	w.st.key = mail.Taint(key)
	if w.options.dbSelect == "" {
		outcome, ok := w.fail("DBERROR", "Invalid SRS address: there is no database")
		return "", outcome, ok
	}
	v, err := w.Scope.Engine.Expand(w.Scope, string(w.options.dbSelect))
	switch {
	case err == nil && v.S != "":
		w.st.address = v
		return v.S, 0, true
	case err == nil, errors.Is(err, expand.ErrForced):
		outcome, ok := w.fail("DBERROR", "Invalid SRS address: unknown key")
		return "", outcome, ok
	}
	w.st.status = "DBERROR"
	return "", w.Postpone(mail.ErrnoExpandFail, "%s router failed to expand \"%s\": %s", w.Router.Name, w.options.dbSelect, err), false
}

// forward rewrites the sender of what the router makes. Bounces have none.
func (w *work) forward() (route.Outcome, bool) {
	m := w.Scope.Message
	if m == nil || m.Sender == "" || w.Mode == mail.ForVerifySender {
		return 0, true
	}
	domain := w.Address.Domain
	if w.options.alias != "" {
		v, err := w.Scope.Engine.Expand(w.Scope, string(w.options.alias))
		switch {
		case errors.Is(err, expand.ErrForced):
			return 0, true
		case err != nil:
			return w.Postpone(mail.ErrnoExpandFail, "%s router failed to expand \"%s\": %s", w.Router.Name, w.options.alias, err), false
		case !address.ValidDomain(v.S, true):
			return w.Postpone(0, "%s router: srs_alias \"%s\" is not a domain", w.Router.Name, v.S), false
		}
		domain = v.S
	}
	w.st.originalSender, w.st.status = mail.Taint(m.Sender), "OK"
	local, host := address.Split(m.Sender)
	sender := w.scheme.Forward(address.UnquoteLocalPart(local)+"@"+host, domain, w.now())
	if w.options.dbInsert != "" && !strings.EqualFold(host, domain) {
		var outcome route.Outcome
		var ok bool
		if sender, outcome, ok = w.insertKey(m.Sender, domain); !ok {
			return outcome, false
		}
	}
	w.Address.ReturnPath, w.Address.ReturnPathSet = quote(sender), true
	return 0, true
}

// keyLength is how many characters keys for the database have.
const keyLength = 20

// insertKey keeps the sender in the database, and returns the address that has the key in its place.
func (w *work) insertKey(sender, domain string) (string, route.Outcome, bool) {
	secret := ""
	if len(w.scheme.Secrets) > 0 {
		secret = w.scheme.Secrets[0]
	}
	h := hmac.New(sha1.New, []byte(secret))
	h.Write([]byte(sender))
	key := hex.EncodeToString(h.Sum(nil))[:keyLength]
	w.st.address, w.st.key = mail.Taint(sender), mail.Clean(key)
	if w.Mode == mail.ForDelivery {
		if _, err := w.Scope.Engine.Expand(w.Scope, string(w.options.dbInsert)); err != nil {
			w.st.status = "DBERROR"
			return "", w.Postpone(mail.ErrnoExpandFail, "%s router failed to expand \"%s\": %s", w.Router.Name, w.options.dbInsert, err), false
		}
	}
	return w.scheme.Key(key, w.now()) + "@" + domain, 0, true
}

// quote quotes the local part of an address if that must be.
func quote(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	return fmt.Sprintf("%s@%s", address.QuoteLocalPart(text[:at]), text[at+1:])
}

// tag shows on delivery lines which sender took the place of the original one.
func tag(_ *mail.Message, a *mail.Address, _ eventlog.Set) string {
	if !a.ReturnPathSet || !srs.IsRewritten(strings.TrimPrefix(a.ReturnPath, `"`)) {
		return ""
	}
	return "SRS=<" + a.ReturnPath + ">"
}

func (w *work) now() time.Time { return w.Scope.Engine.World.Clock.Now() }
