package smtp

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"exigo/internal/config"
	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/retry"
	"exigo/internal/testkit"
	"exigo/internal/transport"
	"exigo/internal/transport/transporttest"
)

const zone = `$ORIGIN test.
one A 192.0.2.1
two A 192.0.2.2
both A 192.0.2.1
both A 192.0.2.2
me A 127.0.0.1
`

// dialled makes a delivery for which every host refuses, and returns what was dialled and the outcome.
func dialled(t *testing.T, change func(f *transporttest.Fixture), options ...string) (string, mail.Outcome, *transporttest.Fixture) {
	t.Helper()
	f := transporttest.New(t, Driver(), options...)
	f.Main.LocalInterfaces = []string{"127.0.0.1"}
	f.World.DNS = testkit.NewZones(t, zone).Fail("later.test", outside.ErrTryAgain)
	if change != nil {
		change(f)
	}
	o := f.Deliver(t.Context())
	return strings.ReplaceAll(strings.Join(f.World.Network.Dialed(), " "), "192.0.2.", ""), o, f
}

func TestHostLists(t *testing.T) {
	routed := func(f *transporttest.Fixture) {
		f.Run.Addresses[0].Hosts = []mail.Host{{Name: "r.test", Address: netip.MustParseAddr("192.0.2.7"), MX: -1}}
	}
	for _, c := range []struct {
		name    string
		options []string
		change  func(*transporttest.Fixture)
		dialled string
		text    string
		errno   int
	}{
		{name: "names", options: []string{"hosts", "one.test : two.test"}, dialled: "1:25 2:25", errno: 111},
		{name: "several addresses, ports", options: []string{"hosts", "<; both.test ; [192.0.2.9]:26", "port", "2525"}, dialled: "2:2525 1:2525 9:26", errno: 111},
		{name: "router's hosts", options: []string{"hosts", "one.test"}, change: routed, dialled: "7:25", errno: 111},
		{name: "override", options: []string{"hosts", "one.test", "hosts_override", "yes"}, change: routed, dialled: "1:25", errno: 111},
		{name: "groups", options: []string{"hosts", "192.0.2.1 : + : 192.0.2.2", "hosts_randomize", "yes"}, dialled: "1:25 2:25", errno: 111},
		{name: "expanded", options: []string{"hosts", "${if eq{$domain}{test.ex}{192.0.2.3}}"}, dialled: "3:25", errno: 111},
		{name: "no such host", options: []string{"hosts", "none.test"}, text: "failed to lookup IP address for none.test", errno: mail.ErrnoUnknownHost},
		{name: "not now", options: []string{"hosts", "later.test"}, text: "host lookup for later.test did not complete", errno: mail.ErrnoDNSDefer},
		{name: "ourselves", options: []string{"hosts", "me.test"}, text: "t1 transport found host me.test to be local", errno: -1},
		{name: "ourselves allowed", options: []string{"hosts", "me.test", "allow_localhost", "yes", "port", "1"}, dialled: "127.0.0.1:1", errno: 111},
		{name: "none", text: "t1 transport called with no hosts set", errno: -1},
		{name: "bad list", options: []string{"hosts", "${if"}, text: `failed to expand list of hosts "${if" in t1 transport: condition name expected, but found ""`, errno: mail.ErrnoExpandFail},
		{name: "tainted list", options: []string{"hosts", "$local_part"}, text: "attempt to use tainted host list 'userx' from '$local_part' in transport 't1'", errno: mail.ErrnoExpandFail},
		{name: "service", options: []string{"hosts", "192.0.2.1", "port", "submission"}, dialled: "1:587", errno: 111},
		{name: "lmtp", options: []string{"hosts", "192.0.2.1", "protocol", "LMTP"}, dialled: "1:24", errno: 111},
		{name: "submissions", options: []string{"hosts", "192.0.2.1", "protocol", "submissions"}, dialled: "1:465", errno: 111},
		{name: "smtps", options: []string{"hosts", "192.0.2.1", "protocol", "smtps"}, dialled: "1:465", errno: 111},
		{name: "bad port", options: []string{"hosts", "192.0.2.1", "port", "70000"}, text: `malformed port number "70000" for t1 transport`, errno: -1},
		{name: "unknown port", options: []string{"hosts", "192.0.2.1", "port", "no-such-service"}, text: `TCP port "no-such-service" is not defined for t1 transport`, errno: -1},
		{name: "fallback", options: []string{"hosts", "192.0.2.1", "fallback_hosts", "192.0.2.2"}, dialled: "1:25 2:25", errno: 111},
		{name: "bad interface", options: []string{"hosts", "192.0.2.1", "interface", "${if"}, errno: -1,
			text: `failed to expand "interface" option for t1 transport: condition name expected, but found ""`},
		{name: "interface of no address", options: []string{"hosts", "192.0.2.1", "interface", "eth0"}, text: `"eth0" is not a valid IP address for the "interface" option for t1 transport`, errno: -1},
		{name: "interface", options: []string{"hosts", "192.0.2.1", "interface", "<; ::1 ; 127.0.0.1"}, dialled: "1:25", errno: 111},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, o, _ := dialled(t, c.change, c.options...)
			if got != c.dialled || o.Message != c.text || o.Errno != c.errno || o.Result == mail.Delivered {
				t.Errorf("dialled %q: %d %q (%d)", got, o.Result, o.Message, o.Errno)
			}
		})
	}
}

// records answers for retry hints from a map.
func records(m map[string]retry.Record) *retry.Hints {
	return &retry.Hints{Expire: 7 * 24 * time.Hour, Get: func(_ context.Context, key string) (retry.Record, bool) {
		r, ok := m[key]
		return r, ok
	}}
}

func TestRetryTimes(t *testing.T) {
	now := testkit.Epoch()
	waiting := retry.Record{First: now.Add(-time.Hour), Last: now.Add(-time.Minute), Next: now.Add(time.Hour)}
	due := retry.Record{First: now.Add(-time.Hour), Last: now.Add(-time.Minute), Next: now.Add(-time.Second)}
	over := waiting
	over.Expired = true
	over.Last = now.Add(-time.Hour)
	overDue := due
	overDue.Expired = true
	rule, err := retry.Parse("* * F,4d,1h")
	if err != nil {
		t.Fatal(err)
	}
	const one, two = "T:[192.0.2.1]:192.0.2.1", "T:[192.0.2.2]:192.0.2.2"
	const longTime = "all hosts for 'test.ex' have been failing for a long time "
	for _, c := range []struct {
		name    string
		records map[string]retry.Record
		options []string
		change  func(*transporttest.Fixture)
		dialled string
		result  mail.Result
		text    string
		skipped bool
	}{
		{name: "unknown", dialled: "1:25 2:25", result: mail.Deferred},
		{name: "one waits", records: map[string]retry.Record{one: waiting}, dialled: "2:25", result: mail.Deferred, skipped: true},
		{name: "message waits", records: map[string]retry.Record{one + ":10HmaX-000000005vi-0000": waiting}, dialled: "2:25", result: mail.Deferred, skipped: true},
		{name: "both wait", records: map[string]retry.Record{one: waiting, two: waiting}, result: mail.Deferred, text: "retry time not reached for any host for 'test.ex'", skipped: true},
		{name: "forced", records: map[string]retry.Record{one: waiting, two: waiting}, change: func(f *transporttest.Fixture) { f.Run.Force = true }, dialled: "1:25 2:25", result: mail.Deferred},
		{name: "old message", records: map[string]retry.Record{one: waiting, two: waiting}, change: func(f *transporttest.Fixture) {
			f.Run.Message.Received = now.Add(-5 * 24 * time.Hour)
		}, dialled: "1:25 2:25", result: mail.Deferred},
		{name: "due", records: map[string]retry.Record{one: due, two: due}, dialled: "1:25 2:25", result: mail.Deferred},
		{name: "past cutoff", records: map[string]retry.Record{one: over, two: over}, result: mail.Failed, text: longTime + "(and retry time not reached)"},
		{name: "one past cutoff", records: map[string]retry.Record{one: over, two: waiting}, result: mail.Deferred, text: "retry time not reached for any host for 'test.ex'", skipped: true},
		{name: "past cutoff and due", records: map[string]retry.Record{one: overDue, two: over}, dialled: "1:25", result: mail.Deferred},
		{name: "past cutoff, tried at once", records: map[string]retry.Record{one: over, two: over}, options: []string{"delay_after_cutoff", "no"}, dialled: "1:25 2:25", result: mail.Deferred},
		{name: "past cutoff, tried since", records: map[string]retry.Record{one: over, two: over}, options: []string{"delay_after_cutoff", "no"},
			change: func(f *transporttest.Fixture) { f.Run.Message.Received = now.Add(-2 * time.Hour) }, result: mail.Failed, text: longTime + "and were last tried after this message arrived"},
		{name: "by name", records: map[string]retry.Record{"T:[192.0.2.1]": waiting, "T:[192.0.2.2]": waiting}, options: []string{"retry_include_ip_address", "no"}, result: mail.Deferred,
			text: "retry time not reached for any host for 'test.ex'", skipped: true},
		{name: "another interface", records: map[string]retry.Record{one: waiting, two + "/192.0.2.9": waiting}, options: []string{"interface", "192.0.2.9"}, dialled: "1:25", result: mail.Deferred, skipped: true},
		{name: "another port", records: map[string]retry.Record{one: waiting, two + ":26": waiting}, options: []string{"port", "26"}, dialled: "1:26", result: mail.Deferred, skipped: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var run *transport.Run
			got, o, _ := dialled(t, func(f *transporttest.Fixture) {
				run = f.Run
				f.Run.Services.Remote = &Services{Retry: records(c.records), Rules: retry.New([]retry.Rule{rule})}
				if c.change != nil {
					c.change(f)
				}
			}, append([]string{"hosts", "192.0.2.1 : 192.0.2.2"}, c.options...)...)
			if got != c.dialled || o.Result != c.result || o.Message != c.text {
				t.Errorf("dialled %q: %d %q", got, o.Result, o.Message)
			}
			if run.Addresses[0].HostSkipped != c.skipped {
				t.Errorf("skipped: %v", !c.skipped)
			}
		})
	}
}

func TestSerialize(t *testing.T) {
	var asked []string
	got, o, _ := dialled(t, func(f *transporttest.Fixture) {
		f.Run.Services.Remote = &Services{Serialize: func(_ context.Context, host string) (func(), bool) {
			asked = append(asked, host)
			return nil, false
		}}
	}, "hosts", "192.0.2.1 : 192.0.2.2", "serialize_hosts", "192.0.2.1")
	if got != "2:25" || len(asked) != 1 || asked[0] != "host-serialize-192.0.2.1" || o.Result != mail.Deferred {
		t.Errorf("%q %q %+v", got, asked, o)
	}
}

func TestWaiting(t *testing.T) {
	var waits []string
	dialled(t, func(f *transporttest.Fixture) {
		f.Run.Services.Remote = &Services{Wait: func(_ context.Context, transport string, hosts []string, id string) {
			waits = append(append(waits, transport, id), hosts...)
		}}
	}, "hosts", "192.0.2.1 : two.test")
	if got := strings.Join(waits, " "); got != "t1 10HmaX-000000005vi-0000 192.0.2.1 two.test" {
		t.Errorf("%q", got)
	}
}

func TestLimits(t *testing.T) {
	f := transporttest.New(t, Driver(), "max_rcpt", "${if eq{$domain}{test.ex}{5}{7}}", "multi_domain", "${if eq{$domain}{test.ex}{no}{yes}}")
	f.Run.Begin()
	if l := f.Run.Transport.Limits(f.Run.Scope); l.MaxRecipients != 5 || l.MultiDomain {
		t.Errorf("%+v", l)
	}
}

func TestCheck(t *testing.T) {
	f := transporttest.New(t, Driver())
	for option, want := range map[string]string{"protocol": `protocol "x" of t1 transport is none of smtp, lmtp, smtps and submissions`, "command_timeout": "command, data, or final timeout value is zero for t1 transport"} {
		inst := f.Run.Transport.Instance
		s := Of(inst)
		old := *s
		if option == "protocol" {
			s.Protocol = "x"
		} else {
			s.CommandTimeout = 0
		}
		err := check(inst)
		if e, ok := err.(*config.Error); !ok || e.Text != want {
			t.Errorf("%s: %v", option, err)
		}
		*s = old
	}
}
