// Package events is the room of events (spec chapter 61): the options event_action, which let an administrator know of what happens on a message's way,
// and have a say in some of it; and their predecessors of transports, tpda_delivery_action and tpda_host_defer_action.
//
// Trust: the data of an event is what servers, clients and the DNS say, and the addresses are anybody's: all of it is tainted.
package events

import (
	"net/netip"
	"strconv"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/transport"
)

// anySettings are the room's options of every transport, smtpSettings those of the smtp transport.
type anySettings struct{ delivery option.Expanded }

type smtpSettings struct{ hostDefer option.Expanded }

// Feature is the room.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "events", Support: "Event", Doc: "Actions when something happens on the way of a message, or in a connection (event_action).",
		Options: []option.Set{
			option.Table[anySettings]{Scope: config.ScopeTransports, Rows: []option.Row[anySettings]{
				{Name: "tpda_delivery_action", Field: func(s *anySettings) any { return &s.delivery },
					Doc: "Text that is expanded after each delivery of the transport; the older form of event_action for msg:delivery."},
			}},
			option.Table[smtpSettings]{Scope: "transport smtp", Rows: []option.Row[smtpSettings]{
				{Name: "tpda_host_defer_action", Field: func(s *smtpSettings) any { return &s.hostDefer },
					Doc: "Text that is expanded after an error that concerns a host; the older form of event_action for msg:host:defer."},
			}},
		},
		Variables: variables(),
		Events:    listen,
	}
}

// action is a text that is expanded for events.
type action struct {
	// option is its name; event the only event it is for, "" for any.
	option, event string
	text          option.Expanded
}

// listener has the actions of a transport or of the main program.
type listener struct {
	actions []action
	// where is the transport's name, or "main", for the panic log.
	where    string
	panicLog func(s *expand.Scope, line string)
}

// listen makes the listener of a transport, or of the main program (feature.Feature.Events).
func listen(cfg *config.Config, t *transport.Transport, panicLog func(s *expand.Scope, line string)) expand.Raise {
	l := &listener{where: "main", panicLog: panicLog}
	if t == nil {
		l.add("event_action", "", option.Of[config.Main](cfg.Main).EventAction)
	} else {
		l.where = t.Name
		l.add("event_action", "", t.Generic.EventAction)
		l.add("tpda_delivery_action", "msg:delivery", option.Of[anySettings](t.Instance.Options).delivery)
		l.add("tpda_host_defer_action", "msg:host:defer", option.Of[smtpSettings](t.Instance.Options).hostDefer)
	}
	if len(l.actions) == 0 {
		return nil
	}
	return l.raise
}

func (l *listener) add(name, event string, text option.Expanded) {
	if text != "" {
		l.actions = append(l.actions, action{name, event, text})
	}
}

// raise expands the actions for an event. What event_action gives is the result. An event that happens while an action is expanded (a failed
// DNS lookup in it) is not heard: it might go on without end.
func (l *listener) raise(s *expand.Scope, e expand.Event) (result string) {
	if _, within := s.Extra["event_name"]; within {
		return ""
	}
	s.SetExtra("event_name", mail.Clean(e.Name))
	s.SetExtra("event_data", data(e))
	s.SetExtra("event_defer_errno", mail.Clean(strconv.Itoa(e.Errno)))
	for _, a := range l.actions {
		if a.event != "" && a.event != e.Name {
			continue
		}
		v, err := s.Engine.Expand(s, string(a.text))
		switch {
		case err != nil:
			l.panicLog(s, "failed to expand "+a.option+" "+e.Name+" in "+l.where+": "+err.Error())
		case a.event == "":
			result = v.S
		}
	}
	return result
}

// data is $event_data. It is anybody's text; but a depth is none, and what failed in the DNS is mostly a host name, which can do no harm.
func data(e expand.Event) expand.Value {
	if (e.Name == "dns:fail" || e.Name == "tls:cert") && strings.Trim(e.Data, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:") == "" {
		return mail.Clean(e.Data)
	}
	return mail.Taint(e.Data)
}

// variables are the rows of the room's variables.
func variables() []expand.Variable {
	row := func(name, doc string, get func(s *expand.Scope) expand.Value) expand.Variable {
		return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) { return get(s), nil }}
	}
	extra := func(name string) func(s *expand.Scope) expand.Value {
		return func(s *expand.Scope) expand.Value { return s.Extra[name] }
	}
	errno := func(s *expand.Scope) expand.Value {
		if v, ok := s.Extra["event_defer_errno"]; ok {
			return v
		}
		return mail.Clean("0")
	}
	host := func(get func(h *mail.Host) expand.Value) func(s *expand.Scope) expand.Value {
		return func(s *expand.Scope) expand.Value {
			if s.Host == nil || s.Extra["event_name"].S == "" {
				return expand.Value{}
			}
			return get(s.Host)
		}
	}
	address := func(get func(a *mail.Address) string) func(s *expand.Scope) expand.Value {
		return func(s *expand.Scope) expand.Value {
			if s.Address == nil || s.Extra["event_name"].S == "" {
				return expand.Value{}
			}
			return mail.Taint(get(s.Address))
		}
	}
	return []expand.Variable{
		row("event_data", "What there is to know of the event: a reply, an error, a depth.", extra("event_data")),
		row("event_defer_errno", "The error number of an event that ends in :defer.", errno),
		row("event_name", "The name of the event.", extra("event_name")),
		row("tpda_defer_errno", "Older name of $event_defer_errno.", errno),
		row("tpda_defer_errstr", "Older name of $event_data, for errors of hosts.", extra("event_data")),
		row("tpda_delivery_confirmation", "Older name of $event_data, for deliveries.", extra("event_data")),
		row("tpda_delivery_domain", "Domain of the address, in an event.", address(func(a *mail.Address) string { return a.Domain })),
		row("tpda_delivery_fqdn", "Name of the host, in an event.", host(func(h *mail.Host) expand.Value { return mail.Taint(h.Name) })),
		row("tpda_delivery_ip", "Address of the host, in an event.", host(func(h *mail.Host) expand.Value { return mail.Clean(ip(h.Address)) })),
		row("tpda_delivery_local_part", "Local part of the address, in an event.", address(func(a *mail.Address) string { return a.LocalPart })),
		row("tpda_delivery_port", "Port of the host, in an event.", host(func(h *mail.Host) expand.Value { return mail.Clean(strconv.Itoa(h.Port)) })),
	}
}

func ip(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}
