package redirect

import (
	"errors"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route"
)

// act makes children of the items of a list, and the outcome.
func (w *work) act(p *parser) route.Outcome {
	domain, outcome := w.qualifyDomain()
	if outcome != route.Accepted {
		return outcome
	}
	made, discard := false, false
	for _, it := range p.items {
		switch it.kind {
		case blackhole:
			discard = true
			continue
		case failure, deferral:
			return w.forced(it)
		case pipe, file:
			w.deliver(it)
		case localOnly:
			w.child(it.text + "@" + w.Address.Domain)
		default:
			text := it.text
			if !hasDomain(text) {
				text += "@" + domain
			}
			w.child(text)
		}
		made = true
	}
	switch {
	case discard:
		w.DropChildren()
		return route.Discard
	case made:
		return route.Accepted
	case len(p.skipped) > 0:
		w.Address.Outcome.Message = "syntax error in redirection data"
	}
	return route.Decline
}

// hasDomain tells whether an address that Extract made has a domain: an @ outside quotes.
func hasDomain(text string) bool {
	at := strings.LastIndexByte(text, '@')
	return at >= 0 && at > strings.LastIndexByte(text, '"')
}

// qualifyDomain is the domain for children without one.
func (w *work) qualifyDomain() (string, route.Outcome) {
	switch {
	case w.c.qualifyPreserveDomain:
		return w.Address.Domain, route.Accepted
	case w.c.qualifyDomain != "":
		v, err := w.Scope.Engine.Expand(w.Scope, string(w.c.qualifyDomain))
		if err != nil {
			if errors.Is(err, expand.ErrForced) {
				return "", route.Decline
			}
			return "", w.Postpone(mail.ErrnoExpandFail, "failed to expand \"%s\": %s", w.c.qualifyDomain, err)
		}
		return v.S, route.Accepted
	}
	m := option.Of[config.Main](w.Scope.Config.MainOptions())
	if m.QualifyRecipient != "" {
		return string(m.QualifyRecipient), route.Accepted
	}
	return string(m.QualifyDomain), route.Accepted
}

// forced ends the address with :fail: or :defer:.
func (w *work) forced(it item) route.Outcome {
	o := &w.Address.Outcome
	text := it.text
	if w.c.forbidSMTPCode {
		text = withoutCode(text)
	}
	w.Postpone(0, "%s", text)
	o.UserMessage = text
	if it.kind == deferral {
		return route.Defer
	}
	return route.Fail
}

// withoutCode takes an SMTP reply code and an enhanced status code off the start of a text.
func withoutCode(text string) string {
	digits := func(s string, max int) int {
		n := 0
		for n < len(s) && n < max && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		return n
	}
	if digits(text, 3) != 3 || len(text) < 4 || text[3] != ' ' {
		return text
	}
	text = strings.TrimLeft(text[4:], " ")
	rest := text
	for i := 0; i < 3; i++ {
		n := digits(rest, 3)
		if n == 0 {
			return text
		}
		rest = rest[n:]
		if i < 2 {
			if !strings.HasPrefix(rest, ".") {
				return text
			}
			rest = rest[1:]
		}
	}
	if after, ok := strings.CutPrefix(rest, " "); ok {
		return strings.TrimLeft(after, " ")
	}
	return text
}

// child adds an address.
func (w *work) child(text string) {
	if w.c.rewrite {
		text = w.Rewrite(text)
	}
	if w.c.checkAncestor {
		for p := w.Address.Parent; p != nil; p = p.Parent {
			if strings.EqualFold(p.Address, text) {
				text = w.Address.Address
				break
			}
		}
	}
	w.finish(w.Child(text))
}

// finish sets what all children of the router have in common.
func (w *work) finish(c *mail.Address) {
	c.HideChild = c.HideChild || w.c.hideChild
	if w.c.oneTime && !c.OneTime {
		top := w.Address
		for top.Parent != nil {
			top = top.Parent
		}
		c.OneTime, c.OneTimeParent = true, top.Address
		if w.Address.OneTimeParent != "" {
			c.OneTimeParent = w.Address.OneTimeParent
		}
	}
	if w.Address.Notify&mail.NotifySuccess != 0 {
		c.Notify, c.ORCPT = 0, ""
	}
}

// deliver adds a pipe or file.
func (w *work) deliver(it item) {
	transport, name, what := w.c.pipeTransport, "pipe_transport", "pipe"
	forbidden, kind := w.c.forbidPipe || w.c.oneTime, mail.KindPipe
	if it.kind == file {
		transport, name, what = w.c.fileTransport, "file_transport", "file"
		forbidden, kind = w.c.forbidFile || w.c.oneTime, mail.KindFile
		if strings.HasSuffix(it.text, "/") {
			transport, name = w.c.directoryTransport, "directory_transport"
		}
	}
	c := w.Delivery(it.text, kind)
	w.finish(c)
	t, ok := w.childTransport(c, string(transport), name, forbidden)
	if forbidden {
		c.Transport = t
		c.Outcome = mail.Outcome{Result: mail.Failed, Message: "delivery to " + what + " forbidden", LogOnly: true}
		return
	}
	if ok {
		c.Transport = t
	}
}

// childTransport finds the transport of a pipe or file and equips the child for it. A mistake defers the child alone.
func (w *work) childTransport(c *mail.Address, text, name string, quiet bool) (string, bool) {
	saved := w.Address.Outcome
	defer func() { w.Address.Outcome = saved }()
	if text == "" {
		if !quiet {
			c.Outcome = mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoBadTransport, Message: name + " unset in " + w.Router.Name + " router"}
		}
		return "", false
	}
	t, ok, _ := w.Transport(text, name)
	if ok {
		ok, _ = w.Equip(c)
	}
	if !ok {
		c.Outcome = w.Address.Outcome
		c.Outcome.Result = mail.Deferred
		return "", false
	}
	return t.Name, true
}
