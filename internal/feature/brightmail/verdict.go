package brightmail

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route"
)

// outcome is what is to become of a message for a recipient.
type outcome int

const (
	deliverDefault outcome = iota
	deliverAlternate
	dontDeliver
)

// verdict is one that was read.
type verdict struct {
	outcome outcome
	// recipients whom it is for; location is where the message goes that is not delivered normally.
	recipients []string
	location   string
	// text is $bmi_base64_verdict, tracker $bmi_base64_tracker_verdict.
	text, tracker string
	// fired asks whether a rule fired.
	fired func(ctx context.Context, rule string) (bool, error)

	mutex sync.Mutex
	known map[string]bool // answers of fired
}

// engine makes verdicts and reads them.
type engine interface {
	// scan returns the verdicts in the form in which they travel: printable ASCII without spaces and colons. Warnings are for the panic log.
	scan(ctx context.Context, s *expand.Scope, m *mail.Message, body *io.SectionReader) (verdicts, warnings []string, err error)
	read(ctx context.Context, text string) (*verdict, error)
}

// engine is the one that the configuration asks for.
func (b *room) engine(s *expand.Scope, o *settings) engine {
	if o.service != "" {
		return &service{settings: o}
	}
	return b.library(s, o)
}

// reader is the engine that a verdict came from: the configuration may be another one since.
func (b *room) reader(s *expand.Scope, o *settings, text string) engine {
	if strings.HasPrefix(text, servicePrefix) {
		return &service{settings: o}
	}
	return b.library(s, o)
}

// of returns the verdict for a recipient, nil if there is none.
func (b *room) of(ctx context.Context, s *expand.Scope, st *state, recipient string) *verdict {
	st.mutex.Lock()
	defer st.mutex.Unlock()
	if !st.read {
		st.read, st.byRecipient = true, map[string]*verdict{}
		o := option.Of[settings](s.Config.MainOptions())
		ctx, cancel := context.WithTimeout(ctx, o.timeout)
		defer cancel()
		for _, text := range st.verdicts {
			v, err := b.reader(s, o, text).read(ctx, text)
			if err != nil {
				panicLog(s, clean(err.Error()))
				continue
			}
			for _, r := range v.recipients {
				if r = strings.ToLower(r); st.byRecipient[r] == nil {
					st.byRecipient[r] = v
				}
			}
		}
	}
	return st.byRecipient[strings.ToLower(recipient)]
}

// current returns the verdict for the address that is routed or delivered, nil if there is none: addresses that were made from a recipient's
// have his.
func (b *room) current(s *expand.Scope) *verdict {
	if s.Message == nil || s.Address == nil || s.Address.Mode != mail.ForDelivery {
		return nil
	}
	st := mail.Peek[state](&s.Message.Bag)
	if st == nil || len(st.verdicts) == 0 {
		return nil
	}
	return b.of(s.Ctx, s, st, original(s.Message, s.Address))
}

// original is the envelope recipient that an address goes back to, past recipients that a one_time redirection put in his place.
func original(m *mail.Message, a *mail.Address) string {
	index := a.Original
	for a.Parent != nil {
		a = a.Parent
	}
	if index < 0 || index >= len(m.Recipients) {
		return a.Address
	}
	for range m.Recipients { // parents that refer to each other end somewhere
		parent := m.Recipients[index].Parent
		if parent < 0 || parent >= len(m.Recipients) {
			break
		}
		index = parent
	}
	return m.Recipients[index].Address
}

// wanted tests a router's preconditions.
func (b *room) wanted(r *route.Run) bool {
	o := option.Of[routerSettings](r.Router.Options)
	if !o.deliverDefault && !o.deliverAlternate && !o.dontDeliver && len(o.rules) == 0 {
		return true
	}
	v := b.current(r.Scope)
	out := deliverDefault
	if v != nil {
		out = v.outcome
	}
	if o.deliverDefault && out != deliverDefault || o.deliverAlternate && out != deliverAlternate || o.dontDeliver && out != dontDeliver {
		return false
	}
	return len(o.rules) == 0 || v != nil && slices.ContainsFunc(o.rules, func(rule string) bool { return v.hasFired(r, rule) })
}

// hasFired tells whether a rule fired.
func (v *verdict) hasFired(r *route.Run, rule string) bool {
	rule = strings.TrimSpace(rule)
	if rule == "" {
		return false
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	fired, known := v.known[rule]
	if known {
		return fired
	}
	ctx, cancel := context.WithTimeout(r.Ctx, option.Of[settings](r.Scope.Config.MainOptions()).timeout)
	defer cancel()
	fired, err := v.fired(ctx, rule)
	if err != nil {
		panicLog(r.Scope, clean(err.Error()))
	}
	if v.known == nil {
		v.known = map[string]bool{}
	}
	v.known[rule] = fired
	return fired
}

// variables are those about the recipient at hand.
func (b *room) variables() []expand.Variable {
	variable := func(name, doc, none string, get func(v *verdict) mail.Value) expand.Variable {
		return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
			if v := b.current(s); v != nil {
				return get(v), nil
			}
			return mail.Clean(none), nil
		}}
	}
	return []expand.Variable{
		variable("bmi_alt_location", "The alternate location for the recipient at hand, by default a header line to add.", "",
			func(v *verdict) mail.Value { return mail.Taint(v.location) }),
		variable("bmi_base64_tracker_verdict", "The part of the verdict for the recipient at hand that is about rules that fired.", "",
			func(v *verdict) mail.Value { return mail.Taint(v.tracker) }),
		variable("bmi_base64_verdict", "The verdict for the recipient at hand, encoded.", "", func(v *verdict) mail.Value { return mail.Taint(v.text) }),
		variable("bmi_deliver", "0 if the message is not to be delivered to the recipient at hand, else 1.", "1", func(v *verdict) mail.Value {
			if v.outcome == dontDeliver {
				return mail.Clean("0")
			}
			return mail.Clean("1")
		}),
	}
}
