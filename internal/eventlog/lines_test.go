package eventlog_test

import (
	"net/netip"
	"testing"
	"time"

	"exigo/internal/eventlog"
	"exigo/internal/mail"

	"github.com/google/go-cmp/cmp"
)

const all = eventlog.Set(1<<62 - 1)

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

// What Exim 4.96 wrote for the same clients.
func TestHostAndIdent(t *testing.T) {
	ports := eventlog.Set(0).With(eventlog.IncomingPort, eventlog.IncomingInterface)
	for _, c := range []struct {
		on                                 eventlog.Set
		helo, name, host, iface, ident, is string
		port                               int
	}{
		{0, "x", "", "1.2.3.4", "", "root", "H=(x) [1.2.3.4] U=root", 0},
		{0, "", "", "1.2.3.4", "", "", "H=[1.2.3.4]", 0},
		{0, "[1.2.3.4]", "", "1.2.3.4", "", "", "H=([1.2.3.4]) [1.2.3.4]", 0},
		{0, "Host.Name", "host.name", "1.2.3.4", "", "", "H=host.name [1.2.3.4]", 0},
		{0, "[1.2.3.4]", "host.name", "1.2.3.4", "", "", "H=host.name [1.2.3.4]", 0},
		{0, "1.2.3.4", "host.name", "1.2.3.4", "", "", "H=host.name (1.2.3.4) [1.2.3.4]", 0},
		{0, "[9.2.3.4]", "host.name", "1.2.3.4", "", "", "H=host.name ([9.2.3.4]) [1.2.3.4]", 0},
		{ports, "[1.2.3.4]:77", "host.name", "1.2.3.4", "", "", "H=host.name [1.2.3.4]:77", 77},
		{0, "[IPv6:2001:db8::1]", "host.name", "2001:db8::1", "", "", "H=host.name [2001:db8::1]", 0},
		{ports, "x", "", "1.2.3.4", "5.6.7.8", "i d", "H=(x) [1.2.3.4]:99 I=[5.6.7.8]:25 U=i d", 99},
		{ports, "x", "", "::ffff:1.2.3.4", "", "", "H=(x) [1.2.3.4]", 0},
		{0, "x", "some.host", "", "", "me", "U=me", 0},
		{0, "a\nb\xff", "", "1.2.3.4", "", "", `H=(a\nb\377) [1.2.3.4]`, 0},
	} {
		s := &mail.Session{HELO: c.helo, HostName: c.name, Host: addr(c.host), Port: c.port, Interface: addr(c.iface), InterfacePort: 25, Ident: c.ident}
		if got := (eventlog.Format{Selectors: c.on}).HostAndIdent(s); got != c.is {
			t.Errorf("got %s, want %s", got, c.is)
		}
	}
}

func TestReceived(t *testing.T) {
	def := eventlog.DefaultSet()
	remote := func() *mail.Message {
		return &mail.Message{Sender: "s@x.example", RawSender: "s@x.example", Protocol: "esmtpa", Size: 268, BodyType: 8,
			Recipients: []mail.Recipient{{Address: "r@y.example"}, {Address: "r2@y.example"}},
			Session: &mail.Session{Host: addr("1.2.3.4"), Port: 5678, Interface: addr("9.8.7.6"), InterfacePort: 25, HostName: "host.name",
				HELO: "my.helo", Ident: "theident", Authenticator: "plain", AuthID: "user", AuthSender: "foo@bar"}}
	}
	local := &mail.Message{Protocol: "local", Size: 1608, Session: &mail.Session{Ident: "exim"}, Completed: 2 * time.Millisecond, Queue: "altq"}
	tagged := eventlog.Format{Selectors: def, Tags: []eventlog.Tag{
		{Name: "DKIM", Place: eventlog.BeforeID, Received: func(*mail.Message, eventlog.Set) string { return "DKIM=test.ex" }},
		{Name: "PRX", Place: eventlog.AfterHost, Received: func(*mail.Message, eventlog.Set) string { return "PRX=10.0.0.1" }},
	}}
	tls := remote()
	tls.Session.TLS = &mail.TLS{Cipher: "TLS1.3:X:256", PeerDN: `CN="a"`, SNI: "sni.example", Resumption: 16, Verified: true}
	for _, c := range []struct {
		f    eventlog.Format
		r    eventlog.Reception
		want string
	}{
		{eventlog.Format{Selectors: all}, eventlog.Reception{Message: remote(), Pipelining: "L.-", Subject: `x "q\\z" \\ y`, HasSubject: true},
			`<= s@x.example H=host.name (my.helo) [1.2.3.4]:5678 I=[9.8.7.6]:25 U=theident P=esmtpa L.- A=plain:user:foo@bar S=268 M8S=8 RT=0.000s T="x \"q\\\\z\" \\\\ y" from <s@x.example> for r@y.example r2@y.example`},
		{eventlog.Format{Selectors: all}, eventlog.Reception{Message: local, Reference: "1xV1cD-0007bW-16", MessageID: "E1x@y", Created: true, PRDR: true, Chunking: true},
			`<= <> R=1xV1cD-0007bW-16 U=exim P=local PRDR K S=1608 M8S=0 RT=0.002s Q=altq id*=E1x@y from <>`},
		{tagged, eventlog.Reception{Message: remote(), MessageID: "foo@bar", Fake: true},
			`(= s@x.example H=host.name (my.helo) [1.2.3.4] U=theident P=esmtpa A=plain:user PRX=10.0.0.1 S=268 DKIM=test.ex id=foo@bar`},
		{eventlog.Format{Selectors: def.With(eventlog.TLSPeerDN, eventlog.TLSSNI, eventlog.TLSResumption)}, eventlog.Reception{Message: tls},
			`<= s@x.example H=host.name (my.helo) [1.2.3.4] U=theident P=esmtpa X=TLS1.3:X:256* CV=yes DN="CN=\"a\"" SNI=sni.example A=plain:user S=268`},
	} {
		if d := cmp.Diff(c.want, c.f.Received(c.r)); d != "" {
			t.Error(d)
		}
	}
}

func TestDeliveries(t *testing.T) {
	m := &mail.Message{Sender: "snd@x.example"}
	child := func(address string, parents ...string) *mail.Address {
		a := &mail.Address{Address: address, LocalPart: address}
		for i := len(address) - 1; i >= 0; i-- {
			if address[i] == '@' {
				a.LocalPart = address[:i]
			}
		}
		last := a
		for _, p := range parents {
			last.Parent = &mail.Address{Address: p}
			last = last.Parent
		}
		return a
	}
	local := child("local@test.example", "pre-Local@test.example")
	local.Router, local.Transport = "loc", "t"
	shad := child("shad@test.example")
	shad.Router, shad.Transport, shad.Outcome.ShadowError = "loc", "t", "Permission denied: x"
	uno := child("uno@test.example", "one@test.example", "list@test.example")
	uno.Router, uno.Transport = "loc", "t"
	eins := child("eins@test.example", "uno@test.example", "one@test.example", "list@test.example")
	remote := child("a@remote.example")
	remote.Router, remote.Transport = "rem", "smtp"
	remote.Outcome = mail.Outcome{Host: &mail.Host{Name: "127.0.0.1", Address: addr("127.0.0.1"), Port: 38525, Secure: true}, Reused: true,
		LocalAddress: addr("127.0.0.1"), LocalPort: 60248, Pipelining: true, Chunking: true, Confirmation: "250-\"quoted\" \\back\n250 OK"}
	bad := *remote
	bad.Outcome.Message = "SMTP error from remote mail server after RCPT TO:<a@remote.example>: 550-no\\n550 \"really\" not"
	deferred := bad
	deferred.Outcome.Errno = -44
	deferred.Outcome.Reused, deferred.Outcome.Host = false, &mail.Host{Name: "h", Address: addr("127.0.0.1"), Port: 38525}
	refused := &mail.Address{Address: "x@refused.example", Router: "refused", Transport: "smtp", Outcome: mail.Outcome{Errno: 111}}
	unknown := &mail.Address{Address: "unk@test.example", Outcome: mail.Outcome{Message: "Unrouteable address"}}
	redirected := &mail.Address{Address: "bad@test.example", Router: "ali", Outcome: mail.Outcome{Message: "go away"}}
	plain := &mail.Address{Address: "/dev/null", Kind: mail.KindFile, Parent: &mail.Address{Address: "file@test.ex"}, Router: "alias", Transport: "appendfile",
		Outcome: mail.Outcome{Message: "delivery to file forbidden"}}
	once := child("second@test.ex")
	once.OneTimeParent = "first@test.ex"
	reply := &mail.Address{Address: ">r@x", Kind: mail.KindReply, Reply: &mail.Reply{To: "r@x"}, Parent: &mail.Address{Address: "u@y"}}
	every, def := eventlog.Format{Selectors: all}, eventlog.Format{Selectors: eventlog.DefaultSet()}
	const ms = time.Millisecond
	for _, c := range []struct {
		got, want string
	}{
		{every.Delivered(eventlog.Delivery{Flag: "=>", Message: m, Address: local, AsLocal: true, ReturnPath: "snd@x.example", ReturnPathKnown: true, Size: 340, QueueTime: 16 * ms, DeliverTime: 3 * ms}),
			"=> local <pre-Local@test.example> F=<snd@x.example> P=<snd@x.example> R=loc T=t S=340 QT=0.016s DT=0.003s"},
		{every.Delivered(eventlog.Delivery{Flag: "=>", Message: m, Address: shad, AsLocal: true, Size: 335, Shadow: "sh", QueueTime: 18 * ms, DeliverTime: 2 * time.Minute}),
			"=> shad <shad@test.example> F=<snd@x.example> R=loc T=t S=335 ST=sh (Permission denied: x) QT=0.018s DT=2m"},
		{every.Delivered(eventlog.Delivery{Flag: "->", Message: m, Address: remote, ReturnPathKnown: true, Size: 277, QueueTime: 82 * ms, DeliverTime: 44 * ms}),
			`-> a@remote.example F=<snd@x.example> P=<> R=rem T=smtp S=277 H=127.0.0.1 DS [127.0.0.1]:38525* I=[127.0.0.1]:60248 L K C="250-\"quoted\" \\back\\n250 OK" QT=0.082s DT=0.044s`},
		{def.Delivered(eventlog.Delivery{Flag: "=>", Message: m, Address: uno, AsLocal: true}), "=> uno <list@test.example> R=loc T=t"},
		{every.Ancestry(eins, true), "eins (uno@test.example, one@test.example) <list@test.example>"},
		{def.Ancestry(once, true), "second <first@test.ex>"},
		{def.Ancestry(reply, false), ">r@x <u@y>"},
		{def.Ancestry(&mail.Address{Address: "x@UpperCase.test.ex", LocalPart: "x", Domain: "uppercase.test.ex", Parent: &mail.Address{Address: "x@uppercase.test.ex"}}, false), "x@uppercase.test.ex"},
		{def.Ancestry(&mail.Address{Address: "Foo-S@Ok.Ex", LocalPart: "foo", Domain: "ok.ex"}, false), "foo@ok.ex <Foo-S@Ok.Ex>"},
		{def.Ancestry(&mail.Address{Address: "USERX@KNOWN.DOMAIN", LocalPart: "USERX", Domain: "known.domain"}, false), "USERX@known.domain"},
		{def.AncestryAsGiven(&mail.Address{Address: "Foo-S@Ok.Ex", LocalPart: "foo", Domain: "ok.ex"}), "Foo-S@Ok.Ex"},
		{every.Failed(eventlog.Delivery{Message: m, Address: &bad, ReturnPathKnown: true, ReturnPath: "b@x"}),
			`** a@remote.example F=<snd@x.example> P=<b@x> R=rem T=smtp H=127.0.0.1 DS [127.0.0.1]:38525* I=[127.0.0.1]:60248 : SMTP error from remote mail server after RCPT TO:<a@remote.example>: 550-no\n550 "really" not DT=0.000s`},
		{every.Failed(eventlog.Delivery{Message: m, Address: unknown}), "** unk@test.example F=<snd@x.example> : Unrouteable address DT=0.000s"},
		{def.Failed(eventlog.Delivery{Message: m, Address: redirected}), "** bad@test.example R=ali : go away"},
		{def.Failed(eventlog.Delivery{Message: m, Address: plain}), "** /dev/null <file@test.ex> R=alias T=appendfile : delivery to file forbidden"},
		{every.Deferred(eventlog.Delivery{Message: m, Address: &deferred}),
			`== a@remote.example R=rem T=smtp defer (-44) H=h [127.0.0.1]:38525 I=[127.0.0.1]:60248 DT=0.000s: SMTP error from remote mail server after RCPT TO:<a@remote.example>: 550-no\n550 "really" not`},
		{every.Deferred(eventlog.Delivery{Message: m, Address: refused}), "== x@refused.example R=refused T=smtp defer (111): Connection refused DT=0.000s"},
		{def.Deferred(eventlog.Delivery{Message: m, Address: &mail.Address{Address: "x@y", Outcome: mail.Outcome{Errno: -52, Message: "retry time not reached"}}, Routing: true}),
			"== x@y routing defer (-52): retry time not reached"},
	} {
		if d := cmp.Diff(c.want, c.got); d != "" {
			t.Error(d)
		}
	}
}
