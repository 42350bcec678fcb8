package events

import (
	"net/netip"
	"slices"
	"testing"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/transport"
)

// bench has a listener and what it wrote to the panic log.
type bench struct {
	engine *expand.Engine
	panics []string
	raise  expand.Raise
}

// newBench makes the listener of a transport with the three options, or of the main program with the first of them.
func newBench(t *testing.T, main bool, action, delivery, hostDefer string) *bench {
	t.Helper()
	b := &bench{}
	words := builtin.Words()
	words.Variables = slices.Concat(words.Variables, variables(), []expand.Variable{{Name: "again", Get: func(s *expand.Scope) (expand.Value, error) {
		return mail.Clean("<" + b.raise(s.Derive(), expand.Event{Name: "dns:fail"}) + ">"), nil // as a failed look-up does
	}}})
	var err error
	if b.engine, err = expand.New(outside.Real(), words, expand.Hooks{}); err != nil {
		t.Fatal(err)
	}
	options, mainOptions := option.Bag{}, option.Bag{}
	var one *transport.Transport
	for _, set := range Feature().Options {
		options.Add(set)
	}
	mainOptions.Add(config.MainOptions())
	option.Of[config.Main](mainOptions).EventAction = option.Expanded(action)
	option.Of[anySettings](options).delivery, option.Of[smtpSettings](options).hostDefer = option.Expanded(delivery), option.Expanded(hostDefer)
	if !main {
		one = &transport.Transport{Name: "remote", Generic: &transport.Generic{EventAction: option.Expanded(action)}, Instance: &config.Instance{Options: options}}
	}
	b.raise = listen(&config.Config{Main: mainOptions}, one, func(_ *expand.Scope, line string) { b.panics = append(b.panics, line) })
	return b
}

func (b *bench) scope(t *testing.T) *expand.Scope {
	s := b.engine.NewScope(t.Context(), nil, nil, nil)
	s.Host = &mail.Host{Name: "mx.test", Address: netip.MustParseAddr("::ffff:192.0.2.1"), Port: 26}
	s.Address = &mail.Address{LocalPart: "joe", Domain: "test.ex"}
	return s
}

func TestActions(t *testing.T) {
	fail, deferred := expand.Event{Name: "msg:fail:delivery", Data: "550 no"}, expand.Event{Name: "msg:host:defer", Data: "refused", Errno: 111}
	delivered := expand.Event{Name: "msg:delivery", Data: "250 yes"}
	const old = "$tpda_delivery_ip $tpda_delivery_port $tpda_delivery_fqdn $tpda_delivery_local_part@$tpda_delivery_domain $tpda_delivery_confirmation $tpda_defer_errno $tpda_defer_errstr ${nosuch}"
	for _, c := range []struct {
		name                        string
		main                        bool
		action, delivery, hostDefer string
		event                       expand.Event
		want, panics                string
	}{
		{"result", false, "$event_name <$event_data> $event_defer_errno", "", "", fail, "msg:fail:delivery <550 no> 0", ""},
		{"errno", false, "$event_name <$event_data> $event_defer_errno", "", "", deferred, "msg:host:defer <refused> 111", ""},
		{"main", true, "$event_name", "", "", fail, "msg:fail:delivery", ""},
		{"mistake", true, "${nosuch}", "", "", fail, "", `failed to expand event_action msg:fail:delivery in main: unknown variable in "${nosuch}"`},
		{"forced failure", false, "${if eq{a}{b}{}fail}", "", "", fail, "", `failed to expand event_action msg:fail:delivery in remote: "if" failed and "fail" requested`},
		{"an event while one is heard", true, "$event_name$again", "", "", fail, "msg:fail:delivery<>", ""},
		{"old form, another event", false, "", "${nosuch}", "${nosuch}", fail, "", ""},
		{"old form, delivery", false, "x", "${nosuch}", "", delivered, "x", `failed to expand tpda_delivery_action msg:delivery in remote: unknown variable in "${nosuch}"`},
		{"old form, its result is nothing", false, "", "x", "x", delivered, "", ""},
		{"old form, host", false, "", "", old, deferred, "", `failed to expand tpda_host_defer_action msg:host:defer in remote: unknown variable in "${nosuch}"`},
		{"old variables", false, "$tpda_delivery_ip $tpda_delivery_port $tpda_delivery_fqdn $tpda_delivery_local_part@$tpda_delivery_domain", "", "", fail, "192.0.2.1 26 mx.test joe@test.ex", ""},
		{"old variables of data", false, "$tpda_delivery_confirmation|$tpda_defer_errno|$tpda_defer_errstr", "", "", deferred, "refused|111|refused", ""},
	} {
		b := newBench(t, c.main, c.action, c.delivery, c.hostDefer)
		got := b.raise(b.scope(t), c.event)
		panics := ""
		for _, p := range b.panics {
			panics += p
		}
		if got != c.want || panics != c.panics {
			t.Errorf("%s: %q, want %q; panic log %q, want %q", c.name, got, c.want, panics, c.panics)
		}
	}
}

// TestNobodyListens: without an action there is no listener, so that nothing is ever put together for one.
func TestNobodyListens(t *testing.T) {
	for _, main := range []bool{true, false} {
		if newBench(t, main, "", "", "").raise != nil {
			t.Errorf("main %v: a listener", main)
		}
	}
	run := &transport.Run{Transport: &transport.Transport{}}
	if n := testing.AllocsPerRun(10, func() {
		if run.Listened() || run.Raise(expand.Event{Name: "msg:delivery"}, nil) != "" {
			t.Fail()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestOutside: beyond an event the variables are empty; what outsiders say is tainted within one.
func TestOutside(t *testing.T) {
	b := newBench(t, true, "x", "", "")
	s := b.scope(t)
	v, err := b.engine.Expand(s, "$event_name$event_data$tpda_delivery_ip$tpda_delivery_local_part$event_defer_errno$tpda_defer_errno")
	if err != nil || v.S != "00" {
		t.Error(v.S, err)
	}
	b.raise(s, expand.Event{Name: "smtp:connect", Data: "220 mx.test"})
	for text, tainted := range map[string]bool{"$event_name": false, "$event_data": true, "$event_defer_errno": false, "$tpda_delivery_ip": false, "$tpda_delivery_fqdn": true} {
		if v, err := b.engine.Expand(s, text); err != nil || v.Tainted != tainted {
			t.Errorf("%s: %q tainted %v, %v", text, v.S, v.Tainted, err)
		}
	}
}
