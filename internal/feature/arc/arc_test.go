package arc

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/testkit"
	"exigo/internal/transport"
)

// seed is the private key of RFC 8032 section 7.1, test 1; its public half is in the zone.
const seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="

const zone = `
sel._domainkey.a.example. TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
sel._domainkey.b.example. TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
`

// bench runs the room's conditions and signs.
type bench struct {
	world   *testkit.Fake
	program *acl.Program
	scope   *expand.Scope
	log     []string
	signer  *transport.Signer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{world: testkit.NewWorld(t)}
	b.world.Zones.Add(zone).Fail("sel._domainkey.broken.example", errors.New("SERVFAIL"))
	f := Feature()
	b.signer = f.Signers[0]
	words := builtin.Words()
	words.Variables = append(append(words.Variables, acl.Variables()...), f.Variables...)
	engine, err := expand.New(b.world.World, words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "configure")
	if err := os.WriteFile(path, []byte("primary_hostname = a.example\nexim_user = root\nacl_smtp_data = x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(config.Request{Path: path, World: b.world.World, SkipChecks: true, Registry: &config.Registry{Sets: []option.Set{config.MainOptions()}}})
	if err != nil {
		t.Fatal(err)
	}
	if b.program, err = acl.Compile(c, acl.Words{Verify: f.Verify}, acl.Services{}); err != nil {
		t.Fatal(err)
	}
	session := &mail.Session{SMTP: true, Host: netip.MustParseAddr("192.0.2.1")}
	b.scope = engine.NewScope(context.Background(), c, session, &mail.Message{Session: session})
	return b
}

// message begins a message whose body comes by, or is in the spool.
func (b *bench) message(t *testing.T, text string, streams bool) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	m := &mail.Message{Session: b.scope.Session}
	for _, h := range split([]byte(head + "\n")) {
		m.AsArrived = append(m.AsArrived, mail.NewHeader(h))
	}
	m.Headers = []mail.Header{mail.NewHeader("Subject: rewritten\n")}
	if streams {
		if w := Feature().Reception[0].Body(context.Background(), b.scope, m); w != nil {
			w.Write([]byte(body))
			w.Close()
		}
	} else {
		m.DataPath, m.DataOffset = filepath.Join(t.TempDir(), "D"), 3
		if err := os.WriteFile(m.DataPath, []byte("id\n"+body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.scope.Message = m
}

func (b *bench) expand(text string) string {
	v, err := b.scope.Engine.Expand(b.scope, text)
	if err != nil {
		return err.Error()
	}
	return v.S
}

// sign has the transport sign a message; option is arc_sign.
func (b *bench) sign(t *testing.T, text, value string) string {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	options := option.Bag{}
	set := Feature().Options[0].(option.Table[settings])
	options.Add(set)
	option.Of[settings](options).sign = option.Expanded(value)
	r := &transport.Run{Transport: &transport.Transport{Name: "out", Instance: &config.Instance{Options: options}}, Message: b.scope.Message, Scope: b.scope,
		Services: &transport.Services{World: b.world.World, Log: func(s string) { b.log = append(b.log, s) }, Panic: func(s string) { b.log = append(b.log, "PANIC "+s) }}}
	if !b.signer.Wanted(r) {
		return ""
	}
	lines, err := b.signer.Sign(context.Background(), r, &transport.Message{Header: []byte(head + "\n"), Body: transport.Body{File: f, Size: int64(len(body))}})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

const plain = "Authentication-Results: a.example;\n\tarc=none\nFrom: x@y.example\nSubject: test\n\nbody\n"

func TestRoom(t *testing.T) {
	b := newBench(t)
	key := " : sel : " + seed
	one := b.sign(t, plain, "a.example"+key) + plain
	two := b.sign(t, "Authentication-Results: b.example; arc=pass\n"+one, "b.example"+key)
	two += "Authentication-Results: b.example; arc=pass\n" + one
	broken := b.sign(t, strings.Replace(plain, "a.example", "broken.example", 1), "broken.example"+key) + plain
	for _, x := range []struct {
		name, text, list string
		verdict          acl.Verdict
		want             string
	}{
		{"none", plain, "none", acl.OK, "none||oldest=0|||arc=none"},
		{"none", plain, "pass", acl.Fail, "none||oldest=0|||arc=none"},
		{"default", plain, "", acl.OK, "none||oldest=0|||arc=none"},
		{"one", one, "pass", acl.OK, "pass|a.example|oldest=1||ARC|arc=pass (i=1) header.s=sel arc.oldest-pass=1 smtp.remote-ip=192.0.2.1"},
		{"two", two, "fail:pass", acl.OK, "pass|a.example:b.example|oldest=1||ARC|arc=pass (i=2) header.s=sel arc.oldest-pass=1 smtp.remote-ip=192.0.2.1"},
		{"body", strings.Replace(two, "body", "ydob", 1), "", acl.Fail,
			"fail|a.example:b.example|oldest=0|AMS body hash miscompare||arc=fail (i=2)(AMS body hash miscompare) header.s=sel arc.oldest-pass=0 smtp.remote-ip=192.0.2.1"},
		{"results", strings.Replace(two, "a.example; smtp.remote-ip=192.0.2.1;\n\tarc=none", "a.example; arc=none;", 1), "!fail", acl.Fail,
			"fail|a.example:b.example|oldest=1|i=2 (AS sig nonverify)||arc=fail (i=2)(i=2 - AS sig nonverify) header.s=sel arc.oldest-pass=1 smtp.remote-ip=192.0.2.1"},
		{"dns", broken, "", acl.Defer, "temperror|broken.example|oldest=0|AMS pubkey unavailable: sel._domainkey.broken.example||arc=temperror (i=1)(AMS pubkey unavailable: sel._domainkey.broken.example)" +
			" header.s=sel arc.oldest-pass=0 smtp.remote-ip=192.0.2.1"},
		{"dns", broken, "pass:temperror", acl.OK, "temperror|broken.example|oldest=0|AMS pubkey unavailable: sel._domainkey.broken.example||arc=temperror (i=1)(AMS pubkey unavailable: sel._domainkey.broken.example)" +
			" header.s=sel arc.oldest-pass=0 smtp.remote-ip=192.0.2.1"},
		{"malformed", "ARC-Seal: x\n" + plain, "fail", acl.OK, "fail||oldest=0|AS malformed||arc=fail (i=0)(AS malformed) arc.oldest-pass=0 smtp.remote-ip=192.0.2.1"},
	} {
		for _, streams := range []bool{true, false} {
			b.message(t, x.text, streams)
			if got := b.expand("<$arc_state><$arc_state_reason><$arc_domains>"); got != "<><><>" {
				t.Errorf("before: %s", got)
			}
			condition := "accept verify = arc"
			if x.list != "" {
				condition += "/" + x.list
			}
			before := len(b.world.Zones.Asked())
			o := b.program.Run(context.Background(), b.scope, acl.Data, condition)
			b.program.Run(context.Background(), b.scope, acl.Data, condition) // nothing is done twice
			got := b.expand("$arc_state|$arc_domains|oldest=$arc_oldest_pass|$arc_state_reason|") + tag(b.scope.Message, 0) + "|" +
				strings.TrimPrefix(b.expand("${authresults{h}}"), "Authentication-Results: h;\n\t")
			if o.Verdict != x.verdict || got != x.want {
				t.Errorf("%s %v: %v %s\n got %s\nwant %s", x.name, streams, o.Verdict, o.LogMessage, got, x.want)
			}
			if n := len(b.world.Zones.Asked()) - before; n > 2 {
				t.Errorf("%s: %d questions", x.name, n)
			}
		}
	}
	for _, phase := range []acl.Phase{acl.Rcpt, acl.NotSMTP} {
		if o := b.program.Run(context.Background(), b.scope, phase, "accept verify = arc"); o.Verdict != acl.Error || !strings.HasPrefix(o.LogMessage, "cannot verify arc in ACL for ") {
			t.Errorf("%v: %+v", phase, o)
		}
	}
}

func TestSign(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/key", []byte(seed+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	now := b.world.Clock.Now().Unix()
	for _, x := range []struct{ value, text, want, log string }{
		{"", plain, "", ""}, {" ", plain, "", ""}, {"${if eq{a}{b}{x}fail}", plain, "", ""},
		{"a.example:sel:" + dir + "/key", plain, "cv=none; a=ed25519-sha256; d=a.example; s=sel;", ""},
		{"<; a.example ; sel ; " + dir + "/key ; timestamps, expire", plain, "ARC-Message-Signature: i=1; a=ed25519-sha256; c=relaxed; d=a.example; s=sel;\n\tt=" + itoa(now) + "; x=" + itoa(now+2592000) + ";", ""},
		{"a.example:sel:" + seed + ":expire=+10", plain, "s=sel;\n\tx=" + itoa(now+10) + ";", ""},
		{"a.example:sel:" + seed + ":expire=2000000000", plain, "s=sel;\n\tx=2000000000;", ""},
		{"a.example:sel:" + seed + ":expire=soon", plain, "", "PANIC ARC: arc_sign for out transport: bad value for option expire: \"soon\""},
		{"a.example:sel:" + seed + ":forever", plain, "", "PANIC ARC: arc_sign for out transport: unknown option \"forever\""},
		{"b.example:sel:" + seed, plain, "", "ARC: no Authentication-Results header for signing"},
		{"a.example::" + seed, plain, "", "PANIC ARC: bad signing-specification in arc_sign for out transport: identifier, selector and private key are needed"},
		{"a.example:sel", plain, "", "PANIC ARC: bad signing-specification in arc_sign for out transport: identifier, selector and private key are needed"},
		{"a.example:s;l:" + seed, plain, "", "PANIC ARC: bad signing-specification in arc_sign for out transport: unusable \"s;l\""},
		{"a.example:sel:" + dir + "/none", plain, "", "PANIC ARC: arc_sign for out transport: unable to open file for reading: " + dir + "/none"},
		{"a.example:sel:?", plain, "", "PANIC ARC: arc_sign for out transport: unusable private key: no PEM"},
		{"a.example:sel:/x/../$sender_address", plain, "", "PANIC ARC: arc_sign for out transport: Tainted filename '/x/../etc/passwd'"},
		{"${bad}", plain, "", "PANIC ARC: failed to expand arc_sign for out transport: unknown variable in \"${bad}\""},
		{"a.example:sel:" + seed, "ARC-Seal: i=1; cv=fail\n" + plain, "", "ARC: no set added: chain already ended with cv=fail"},
		{"a.example:sel:" + seed, "ARC-Seal: i=1; cv=none\n" + plain, "i=2; cv=fail", ""},
	} {
		b.log = nil
		b.scope.Message.Sender, b.scope.Message.SenderSet = "etc/passwd", true
		got := b.sign(t, x.text, x.value)
		if !strings.Contains(got, x.want) || (got == "") != (x.want == "") || strings.Join(b.log, "|") != x.log {
			t.Errorf("%s:\n got %s\nwant %s\nlog %v", x.value, got, x.want, b.log)
		}
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
