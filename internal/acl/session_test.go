package acl

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/testkit"
)

// TestSessions: conditions that look at the session, with its several states.
func TestSessions(t *testing.T) {
	for _, x := range []struct {
		set       func(b *bench)
		acl, want string
	}{
		{func(b *bench) { b.scope.Session.TLS = &mail.TLS{Cipher: "TLS1.3:TLS_AES_256_GCM_SHA384:256"} }, "accept encrypted = *", "OK |  | "},
		{func(b *bench) { b.scope.Session.TLS = &mail.TLS{Cipher: "TLS1.3:TLS_AES_256_GCM_SHA384:256"} }, "accept encrypted = DES-CBC3-SHA : tls_aes_256_gcm_sha384", "OK |  | "},
		{func(b *bench) { b.scope.Session.TLS = &mail.TLS{Cipher: "TLS1.3:TLS_AES_256_GCM_SHA384:256"} }, "accept encrypted = TLS1.3", "FAIL |  | "},
		{func(b *bench) { b.scope.Session.TLS = &mail.TLS{Verified: true} }, "accept verify = certificate", "OK |  | "},
		{func(b *bench) { b.scope.Session.TLS = &mail.TLS{} }, "accept verify = certificate", "FAIL | no verified certificate | no verified certificate"},
		{func(b *bench) { b.scope.Session.Authenticator = "plain" }, "accept authenticated = login : plain", "OK |  | "},
		{func(b *bench) { b.scope.Session.Authenticator = "plain" }, "accept authenticated = login", "FAIL |  | "},
		{func(b *bench) { b.scope.Session.HELOVerified = true }, "accept verify = helo", "OK |  | "},
		{func(b *bench) { b.scope.Session.HELOTried = true }, "accept verify = helo", "FAIL |  | "},
		{func(b *bench) {}, "accept verify = helo", "ERROR |  | verify = helo is not supported yet"},
		{func(b *bench) {
			b.program.services.VerifyHELO = func(_ context.Context, s *expand.Scope) (bool, error) {
				s.Session.HELOVerified = s.Session.HELO == "a.b"
				return s.Session.HELOVerified, nil
			}
		}, "accept verify = helo\n verify = helo", "OK |  | "},
		{func(b *bench) { b.scope.Session.HostName = "h.ex" }, "accept verify = reverse_host_lookup\n hosts = *.ex", "OK |  | "},
		{func(b *bench) {
			b.program.services.HostName = func(context.Context, *expand.Scope) (bool, bool, string) { return false, true, "slow" }
		}, "accept verify = reverse_host_lookup", "DEFER |  | host lookup deferred for reverse lookup check (slow)"},
		{func(b *bench) {
			b.program.services.HostName = func(context.Context, *expand.Scope) (bool, bool, string) { return false, true, "slow" }
		}, "accept verify = reverse_host_lookup/defer_ok", "OK |  | "},
		{func(b *bench) { b.program.services.HostName = nil }, "accept verify = reverse_host_lookup", "ERROR |  | verify = reverse_host_lookup is not supported yet"},
		{func(b *bench) { b.scope.Session.Host = b.scope.Session.Interface }, "accept verify = helo\n verify = reverse_host_lookup", "OK |  | "},
		{func(b *bench) {
			b.program.services.PercentHack = func(_ *expand.Scope, a *mail.Address) (string, error) {
				return strings.Replace(a.CasefulLocalPart, "%", "@", 1), nil
			}
			b.scope.Recipient = &mail.Recipient{Address: "a%hacked.ex@b.ex"}
		}, "accept domains = hacked.ex\n local_parts = a", "OK |  | "},
		{func(b *bench) {
			b.program.services.PercentHack = func(*expand.Scope, *mail.Address) (string, error) { return "", errors.New("slow") }
			b.scope.Recipient = &mail.Recipient{Address: "a@b.ex"}
		}, "accept", "DEFER |  | cannot check percent_hack_domains"},
		{func(b *bench) { b.program.services.VerifyAddress = nil }, "accept verify = recipient", "ERROR |  | verify = recipient is not supported yet"},
		{func(b *bench) { b.scope.Message.Sender = "" }, "accept verify = sender", "OK |  | "},
		{func(b *bench) { b.scope.Message.Sender = "" }, "accept senders = :\n sender_domains = a.b", "FAIL |  | "},
		{func(b *bench) { b.scope.Message.Sender = "" }, "accept senders = :", "OK |  | "},
	} {
		b := newBench(t, "")
		x.set(b)
		if got := b.outcome(Rcpt, x.acl); got != x.want {
			t.Errorf("%q:\n got  %s\n want %s", x.acl, got, x.want)
		}
	}
}

// TestControlRows: what each control leaves behind (spec 44.22).
func TestControlRows(t *testing.T) {
	for _, x := range []struct {
		phase   Phase
		control string
		want    mail.Controls
	}{
		{Connect, "allow_auth_unadvertised", mail.Controls{AllowAuthUnadvertised: true}},
		{Connect, "no_enforce_sync", mail.Controls{NoEnforceSync: true}},
		{Connect, "no_enforce_sync\n control = enforce_sync", mail.Controls{}},
		{Connect, "no_callout_flush\n control = no_delay_flush", mail.Controls{NoCalloutFlush: true, NoDelayFlush: true}},
		{Mail, "no_multiline_responses", mail.Controls{NoMultilineReply: true}},
		{Mail, "suppress_local_fixups", mail.Controls{SuppressLocalFixups: true}},
		{Rcpt, "dmarc_disable_verify", mail.Controls{DMARCDisable: true}},
		{MIME, "no_mbox_unspool", mail.Controls{NoMboxUnspool: true}},
		{Rcpt, "cutthrough_delivery/defer=spool/defer=x", mail.Controls{Cutthrough: true, CutthroughDefer: "spool"}},
		{Rcpt, "queue_only", mail.Controls{QueueOnly: true}},
		{Rcpt, "freeze\n control = freeze/no_tell", mail.Controls{Freeze: true}},
		{Rcpt, "fakereject\n control = fakedefer/x", mail.Controls{Fakedefer: "x"}},
		{Rcpt, "fakereject", mail.Controls{Fakereject: fakeText}},
		{Rcpt, "utf8_downconvert", mail.Controls{UTF8Downgrade: "1"}},
		{Rcpt, "utf8_downconvert/0", mail.Controls{UTF8Downgrade: "0"}},
		{Rcpt, "utf8_downconvert/-1", mail.Controls{UTF8Downgrade: "-1"}},
		{Rcpt, "dscp/AF11", mail.Controls{DSCP: "af11"}},
		{Rcpt, "dscp/0x2e", mail.Controls{DSCP: "0x2e"}},
		{Rcpt, "dscp/64", mail.Controls{}},
		{Rcpt, "dscp/what", mail.Controls{}},
		{Rcpt, "debug/tag=.x/opts=+all", mail.Controls{}},
	} {
		b := newBench(t, "")
		if o := b.define(x.phase, "accept control = "+x.control); o.Verdict != OK || !reflect.DeepEqual(b.scope.Message.Controls, x.want) {
			t.Errorf("%s: %+v\n got  %+v\n want %+v", x.control, o, b.scope.Message.Controls, x.want)
		}
	}
	b := newBench(t, "")
	var values []int
	var debug []string
	b.program.services.SetDSCP = func(_ *expand.Scope, value int) error {
		values = append(values, value)
		return errors.New("not on this socket")
	}
	b.program.services.Debug = func(_ *expand.Scope, options []string) { debug = options }
	b.scope.Message = nil // controls of a session without a message go nowhere
	if o := b.define(Connect, "accept control = dscp/ef\n control = no_pipelining\n control = debug/tag=.x/opts=+all"); o.Verdict != OK || values[0] != 0x2e || strings.Join(debug, " ") != "tag=.x opts=+all" {
		t.Errorf("services: %v %v %v", o, values, debug)
	}
}

// TestVerifyParameters: what the services are told (spec 44.47 and 44.49).
func TestVerifyParameters(t *testing.T) {
	const s = time.Second
	for _, x := range []struct {
		item string
		want VerifyOptions
	}{
		{"recipient", VerifyOptions{}},
		{"recipient/success_on_redirect/callout", VerifyOptions{SuccessOnRedirect: true, Callout: &Callout{Timeout: 30 * s, Connect: 30 * s, Overall: 120 * s}}},
		{"recipient/callout=1m", VerifyOptions{Callout: &Callout{Timeout: 60 * s, Connect: 60 * s, Overall: 240 * s}}},
		{"recipient/callout=defer_ok,use_sender,hold", VerifyOptions{Callout: &Callout{Timeout: 30 * s, Connect: 30 * s, Overall: 120 * s, DeferOK: true, UseSender: true, Hold: true}}},
		{"recipient/callout=use_postmaster,fullpostmaster", VerifyOptions{Callout: &Callout{Timeout: 30 * s, Connect: 30 * s, Overall: 120 * s, UsePostmaster: true, Postmaster: true, FullPostmaster: true}}},
		{"recipient/callout/callout_defer_ok/check_postmaster", VerifyOptions{Callout: &Callout{Timeout: 30 * s, Connect: 30 * s, Overall: 120 * s, DeferOK: true, Postmaster: true}}},
		{"sender/check_postmaster=p@q", VerifyOptions{Sender: true, Callout: &Callout{Timeout: 30 * s, Connect: 30 * s, Overall: 120 * s, Postmaster: true, PostmasterMailFrom: "p@q"}}},
		{"recipient/quota", VerifyOptions{Quota: true, QuotaPositive: 300 * s, QuotaNegative: 3600 * s}},
		{"recipient/quota=cachepos=20s,cacheneg=40s", VerifyOptions{Quota: true, QuotaPositive: 20 * s, QuotaNegative: 40 * s}},
		{"recipient/quota=no_cache", VerifyOptions{Quota: true}},
	} {
		b := newBench(t, "")
		flushed := 0
		b.program.services.Flush = func(*expand.Scope) { flushed++ }
		if b.define(Rcpt, "accept verify = "+x.item); !reflect.DeepEqual(b.options, x.want) {
			t.Errorf("%s:\n got  %+v %+v\n want %+v %+v", x.item, b.options, b.options.Callout, x.want, x.want.Callout)
		}
		if (flushed == 1) != (x.want.Callout != nil) {
			t.Errorf("%s: flushed %d times", x.item, flushed)
		}
	}
	for item, want := range map[string]string{
		"recipient/quota=cachepos=x":      `bad time value in ACL condition "verify recipient/quota=cachepos=x"`,
		"recipient/quota/callout":         `cannot verify quota with callout in ACL condition "verify recipient/quota/callout"`,
		"recipient/callout=connect=x":     `bad time value in ACL condition "verify recipient/callout=connect=x"`,
		"recipient/callout=maxwait=never": `bad time value in ACL condition "verify recipient/callout=maxwait=never"`,
	} {
		if got := newBench(t, "").define(Rcpt, "accept verify = "+item); got.Verdict != Error || got.LogMessage != want {
			t.Errorf("%s: %+v", item, got)
		}
	}
}

// TestUDPSend: an unreachable host changes nothing (spec 44.21).
func TestUDPSend(t *testing.T) {
	b := newBench(t, "")
	network := testkit.NewNetwork()
	b.world.Dial = network
	b.world.DNS = testkit.NewZones(t, "\nudp.ex. A 10.0.0.1\n")
	if o := b.define(Rcpt, "accept udpsend = udp.ex : 1234 : a:b\n udpsend = <; 2001:db8::1 ; 5 ; x"); o.Verdict != OK {
		t.Error(o)
	}
	if o := b.define(Rcpt, "accept udpsend = udp.ex : 1234"); o.LogMessage != `missing datagram content in "udpsend" modifier` {
		t.Error(o)
	}
	if got := strings.Join(network.Dialed(), " "); got != "10.0.0.1:1234 [2001:db8::1]:5" {
		t.Error(got)
	}
}

// TestNoMessage: ACLs of a connection, in which there is no message yet.
func TestNoMessage(t *testing.T) {
	b := newBench(t, "")
	b.scope.Message, b.scope.Recipient = nil, nil
	for text, want := range map[string]string{
		"accept set acl_m_x = 1\n set acl_c_x = 2\n logwrite = $acl_c_x": "OK |  |  // 2",
		"warn message = X-A: b\n accept":                                 "OK |  |  // PANIC ACL \"warn\" with \"message\" setting found in a non-message (connection) ACL: cannot specify header lines here: message ignored",
		"deny message = $acl_verify_message":                             "FAIL |  | ",
		"accept condition = ${if def:sender_address}":                    "FAIL |  | ",
	} {
		b.log = nil
		statements, err := b.program.words.read(logicalLines(text, "t", 1))
		if err != nil {
			t.Fatal(err)
		}
		b.program.named["t"] = &accessList{name: "ACL \"t\"", statements: statements}
		if got := b.outcome(Connect, "t"); got != want {
			t.Errorf("%q:\n got  %s\n want %s", text, got, want)
		}
	}
	if Rcpt.Option() != "acl_smtp_rcpt" || Expansion.Option() != "" || NotSMTP.Option() != "acl_not_smtp" {
		t.Error("names of options")
	}
	err := b.compile("x:\n foo bar")
	if err == nil || !strings.Contains(err.Error(), `unknown ACL verb "foo" in "foo bar"`) {
		t.Error(err)
	}
}
