package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// ring holds keys, made once for all tests.
type ring struct {
	rsa, rsa2048, ed *PrivateKey
	records          map[string]string
}

var keys = sync.OnceValue(func() *ring {
	r := &ring{records: map[string]string{}}
	make := func(bits int) (*PrivateKey, string) {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		der, _ := x509.MarshalPKIXPublicKey(k.Public())
		return &PrivateKey{k}, base64.StdEncoding.EncodeToString(der)
	}
	var p, p2 string
	r.rsa, p = make(1024)
	r.rsa2048, p2 = make(2048)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	r.ed = &PrivateKey{ed}
	for selector, record := range map[string]string{
		"rsa": "v=DKIM1; k=rsa; p=" + p, "rsa2048": "p=" + p2, "ed": "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(ed.Public().(ed25519.PublicKey)),
		"strict": "v=DKIM1; t=y:s; p=" + p, "other": "v=DKIM1; s=other; p=" + p, "h512": "h=sha512; p=" + p, "revoked": "v=DKIM1; p=", "junk": "hello world",
		"version": "v=DKIM2; p=" + p, "late": "p=" + p + "; v=DKIM1", "base64": "v=DKIM1; p=@@", "der": "v=DKIM1; p=AAAABBBB", "type": "k=foo; p=" + p,
		"many": "v=spf1 -all\nv=DKIM1; p=" + p, "fail": "!", "mail": "s=foo:email; p=" + p, "star": "s=*; n=a note; g=; p=" + p,
	} {
		r.records[selector+"._domainkey.a.example"] = record
	}
	r.records["rsa._domainkey.xn--bcher-kva.example"] = "p=" + p
	return r
})

func (r *ring) txt(_ context.Context, name string) ([]string, error) {
	switch text, ok := r.records[name]; {
	case !ok:
		return nil, fmt.Errorf("%s: %w", name, ErrNoRecord)
	case text == "!":
		return nil, errors.New("SERVFAIL")
	default:
		return strings.Split(text, "\n"), nil
	}
}

// split makes fields and body of a message with LF line ends.
func split(message string) (fields []string, body string) {
	head, body, _ := strings.Cut(message, "\n\n")
	for _, line := range strings.SplitAfter(head+"\n", "\n") {
		if line != "" && (line[0] == ' ' || line[0] == '\t') {
			fields[len(fields)-1] += line
		} else if line != "" {
			fields = append(fields, line)
		}
	}
	return fields, body
}

func verify(t testing.TB, p Policy, txt TXT, message string) []*Result {
	t.Helper()
	fields, body := split(message)
	v, err := NewVerifier(p, fields)
	if err != nil {
		t.Fatal(err)
	}
	for len(body) > 0 {
		n := min(7, len(body))
		v.Write([]byte(body[:n]))
		body = body[n:]
	}
	v.Close()
	results, err := v.Verify(context.Background(), txt)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

const message = "From: a@a.example\nTo: b@b.example\nSubject:  a\n\tb \n\n text  with \nspaces \n\n\n"

// signed signs a message with tags as they are given; BH stands for the hash of the body.
func signed(tags, message string, key *PrivateKey) string {
	fields, body := split(message)
	s := ParseSignature("DKIM-Signature: " + tags)
	b := NewBody(s.Body, true)
	h := b.Hash(s.Algorithm.CryptoHash().New(), s.Limit)
	b.Write([]byte(body))
	b.Close()
	field := "DKIM-Signature: " + strings.ReplaceAll(tags, "BH", base64.StdEncoding.EncodeToString(h.Sum())) + "; b=\n"
	digest := HashHeader(s.Algorithm.CryptoHash().New(), s.Header, NewSection(fields).Pick(s.Names), field)
	value, err := key.Sign(rand.Reader, s.Algorithm.CryptoHash(), digest)
	if err != nil {
		panic(err)
	}
	return strings.TrimSuffix(field, "\n") + base64.StdEncoding.EncodeToString(value) + "\n" + message
}

func TestVectors(t *testing.T) {
	records := map[string]string{
		"brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
		"test._domainkey.football.example.com": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR" +
			"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3" +
			"Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
	}
	txt := func(_ context.Context, name string) ([]string, error) { return []string{records[name]}, nil }
	for _, file := range []string{"rfc8463.msg", "rfc8463-simple.msg"} {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		results := verify(t, Policy{OnlyLF: true}, txt, string(text))
		if len(results) != 2 || results[0].Algorithm.String() != "ed25519-sha256" || results[1].Algorithm.String() != "rsa-sha256" {
			t.Fatalf("%s: %v", file, results)
		}
		for _, r := range results {
			if r.Reason != Good || r.Status() != "pass" || r.Identity != "@football.example.com" || !r.SignsFrom() || len(r.Names) != 8 {
				t.Errorf("%s %s: %d %v", file, r.Selector, r.Reason, r.Err)
			}
		}
		// the same with CRLF, and with the body changed
		crlf := strings.ReplaceAll(string(text), "\n", "\r\n")
		head, body, _ := strings.Cut(crlf, "\r\n\r\n")
		fields, _ := split(strings.ReplaceAll(head, "\r\n", "\n") + "\n\n")
		v, _ := NewVerifier(Policy{}, fields)
		v.Write([]byte(body))
		v.Close()
		for i, r := range must(v.Verify(context.Background(), txt)) {
			if r.Reason != Good {
				t.Errorf("%s with CRLF: %d %d", file, i, r.Reason)
			}
		}
		for _, r := range verify(t, Policy{OnlyLF: true}, txt, strings.Replace(string(text), "Joe.", "Jim.", 1)) {
			if r.Reason != BodyChanged || r.Status() != "fail" {
				t.Errorf("%s changed: %d", file, r.Reason)
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestReasons(t *testing.T) {
	k := keys()
	base := "v=1; a=rsa-sha256; c=relaxed/simple; d=a.example; s=rsa; h=from:to; bh=BH"
	with := func(old, new string) string { return strings.Replace(base, old, new, 1) }
	for _, x := range []struct {
		tags   string
		key    *PrivateKey
		want   Reason
		status string
	}{
		{base, k.rsa, Good, "pass"},
		{with("from:to", " From \n\t: To"), k.rsa, Good, "pass"},
		{with("a.example", "A.Example"), k.rsa, NoKey, "permerror"}, // our DNS knows the name in lower case only
		{base + "; i=x@a.example", k.rsa, Good, "pass"},
		{base + "; i=@Sub.A.EXAMPLE", k.rsa, Good, "pass"},
		{base + "; i=x@ba.example", k.rsa, BadSyntax, "neutral"},
		{base + "; i=a.example", k.rsa, BadSyntax, "neutral"},
		{base + "; x=200; t=100", k.rsa, Expired, "fail"},
		{base + "; x=5000000000", k.rsa, Good, "pass"},
		{base + "; x=100; t=200", k.rsa, BadSyntax, "neutral"},
		{base + "; t=abc", k.rsa, BadSyntax, "neutral"},
		{base + "; x=-1", k.rsa, BadSyntax, "neutral"},
		{base + "; l=5", k.rsa, Good, "pass"},
		{base + "; l=0", k.rsa, Good, "pass"},
		{base + "; l=23", k.rsa, Good, "pass"},
		{base + "; l=24", k.rsa, BodyChanged, "fail"},
		{base + "; l=99", k.rsa, BodyChanged, "fail"},
		{base + "; l=99999999999999999999", k.rsa, BadSyntax, "neutral"},
		{base + "; q=dns/txt:http", k.rsa, Good, "pass"},
		{base + "; q=http", k.rsa, BadSyntax, "neutral"},
		{base + "; unknown=1", k.rsa, Good, "pass"},
		{base + "; d=b.example", k.rsa, BadSyntax, "neutral"},
		{base + "; z=From:a=40b|To:x=7cy", k.rsa, Good, "pass"},
		{with("v=1; ", ""), k.rsa, BadSyntax, "neutral"},
		{with("v=1", "v=2"), k.rsa, BadVersion, "neutral"},
		{with("d=a.example; ", ""), k.rsa, BadSyntax, "neutral"},
		{with("a.example", "a b"), k.rsa, BadSyntax, "neutral"},
		{with("a.example", "a..b"), k.rsa, BadSyntax, "neutral"},
		{with("s=rsa; ", ""), k.rsa, BadSyntax, "neutral"},
		{with("h=from:to; ", ""), k.rsa, BadSyntax, "neutral"},
		{with("from:to", "from::to"), k.rsa, BadSyntax, "neutral"},
		{with("from:to", strings.Repeat("x:", 1000)+"from"), k.rsa, BadSyntax, "neutral"},
		{with("; bh=BH", ""), k.rsa, BodyChanged, "fail"},
		{with("BH", "@"), k.rsa, BadSyntax, "neutral"},
		{with("relaxed/simple", "relaxed"), k.rsa, Good, "pass"},
		{with(" c=relaxed/simple;", ""), k.rsa, Good, "pass"},
		{with("relaxed/simple", "nowsp"), k.rsa, BadSyntax, "neutral"},
		{with("rsa-sha256", "rsa-sha512"), k.rsa, Good, "pass"},
		{with("rsa-sha256", "rsa-sha1"), k.rsa, Good, "pass"},
		{with("rsa-sha256", "ed25519-sha256"), k.ed, KeyUnfit, "fail"},
		{with("s=rsa", "s=ed"), k.rsa, KeyUnfit, "fail"},
		{with("s=rsa", "s=many"), k.rsa, Good, "pass"},
		{with("s=rsa", "s=mail"), k.rsa, Good, "pass"},
		{with("s=rsa", "s=star"), k.rsa, Good, "pass"},
		{with("s=rsa", "s=strict"), k.rsa, Good, "pass"},
		{with("s=rsa", "s=strict; i=@a.example"), k.rsa, Good, "pass"},
		{with("s=rsa", "s=strict; i=@sub.a.example"), k.rsa, KeyUnfit, "fail"},
		{with("s=rsa", "s=h512"), k.rsa, KeyUnfit, "fail"},
		{with("s=rsa", "s=other"), k.rsa, BadRecord, "neutral"},
		{with("s=rsa", "s=junk"), k.rsa, BadRecord, "neutral"},
		{with("s=rsa", "s=version"), k.rsa, BadRecord, "neutral"},
		{with("s=rsa", "s=late"), k.rsa, BadRecord, "neutral"},
		{with("s=rsa", "s=base64"), k.rsa, BadRecord, "neutral"},
		{with("s=rsa", "s=revoked"), k.rsa, BadKey, "neutral"},
		{with("s=rsa", "s=der"), k.rsa, BadKey, "neutral"},
		{with("s=rsa", "s=type"), k.rsa, BadKey, "neutral"},
		{with("s=rsa", "s=none"), k.rsa, NoKey, "permerror"},
		{with("s=rsa", "s=fail"), k.rsa, KeyTemporary, "temperror"},
		{with("s=rsa", "s=rsa2048"), k.rsa, HeaderChanged, "fail"},
		{with("s=rsa", "s=rsa2048"), k.rsa2048, Good, "pass"},
		{with("a.example", "bücher.example"), k.rsa, Good, "pass"},
		{with("a=rsa-sha256; c=relaxed/simple; d=a.example; s=rsa", "a=ed25519-sha256; c=simple/relaxed; d=a.example; s=ed"), k.ed, Good, "pass"},
	} {
		p := Policy{OnlyLF: true, KeyTypes: []string{"rsa", "ed25519"}, Hashes: []string{"sha1", "sha256", "sha512"}, Expiry: true, Now: time.Unix(4e9, 0), MinBits: map[string]int{"rsa": 1024}}
		results := verify(t, p, k.txt, signed(x.tags, message, x.key))
		if len(results) != 1 || results[0].Reason != x.want || results[0].Status() != x.status {
			t.Errorf("%.120s: %+v", x.tags, results[0])
		}
	}
}

func TestPolicy(t *testing.T) {
	k := keys()
	ed, one := "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=a.example; s=ed; h=from:to; bh=BH", "v=1; a=rsa-sha256; d=a.example; s=rsa; h=from:to; bh=BH"
	old := strings.Replace(one, "sha256", "sha1", 1)
	text := signed(old, signed(one, signed(strings.Replace(one, "s=rsa", "s=rsa2048", 1), signed(ed, message, k.ed), k.rsa2048), k.rsa), k.rsa)
	for _, x := range []struct {
		name string
		p    Policy
		want string
	}{
		{"default", Policy{}, "ed:0 rsa:0 rsa2048:0"},
		{"order", Policy{KeyTypes: []string{"rsa", "ed25519"}, Hashes: []string{"sha512", "sha256", "sha1"}}, "rsa:0 rsa2048:0 rsa:0 ed:0"},
		{"rsa", Policy{KeyTypes: []string{"rsa"}}, "rsa:0 rsa2048:0"},
		{"minimal", Policy{Minimal: true}, "ed:0 rsa:1 rsa2048:1"},
		{"bits", Policy{MinBits: map[string]int{"rsa": 1025, "ed25519": 254}}, fmt.Sprintf("ed:%d rsa:%d rsa2048:0", KeyTooShort, KeyTooShort)},
	} {
		x.p.OnlyLF = true
		var got []string
		for _, r := range verify(t, x.p, k.txt, text) {
			got = append(got, fmt.Sprintf("%s:%d", r.Selector, r.Reason))
		}
		if strings.Join(got, " ") != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
	fields, _ := split(text)
	if _, err := NewVerifier(Policy{MaxSignatures: 3}, fields); !errors.Is(err, ErrTooManySignatures) {
		t.Error(err)
	}
	for n, want := range map[int]error{10: nil, 12: ErrLongLine} {
		for _, end := range []string{"\n", "\r\n", ""} {
			v := must(NewVerifier(Policy{MaxLine: 10}, fields))
			for _, c := range "ab\n" + strings.Repeat("x", n) + end {
				v.Write([]byte{byte(c)})
			}
			v.Close()
			if _, err := v.Verify(context.Background(), k.txt); !errors.Is(err, want) && (end != "\r\n" || n == 10) {
				t.Errorf("%d %q: %v", n, end, err)
			}
		}
	}
	// what a changed header says, and a signature over a field that was not there
	text = signed(strings.Replace(one, "from:to", "from:to:subject:subject", 1), message, k.rsa)
	for change, want := range map[string]Reason{"From: x": HeaderChanged, "Subject: more\nFrom: a": HeaderChanged, "X-Other: 1\nFrom: a": Good} {
		if r := verify(t, Policy{OnlyLF: true}, k.txt, strings.Replace(text, "From: a", change, 1)); r[0].Reason != want {
			t.Errorf("%q: %d", change, r[0].Reason)
		}
	}
	slow := func(ctx context.Context, _ string) ([]string, error) { <-ctx.Done(); return nil, ctx.Err() }
	if r := verify(t, Policy{OnlyLF: true, Timeout: time.Millisecond}, slow, text); r[0].Reason != KeyTemporary {
		t.Error(r[0].Reason)
	}
}

func TestSign(t *testing.T) {
	k := keys()
	fields, body := split(strings.Replace(message, "From", "X-A: 1\nFrom", 1))
	section := NewSection(fields)
	for _, key := range []*PrivateKey{k.rsa, k.rsa2048, k.ed} {
		for _, c := range []Canonicalization{Simple, Relaxed} {
			for _, hash := range []string{"sha256", "sha512"} {
				s := &Signing{Domain: "a.example", Selector: map[*PrivateKey]string{k.rsa: "rsa", k.rsa2048: "rsa2048", k.ed: "ed"}[key], Key: key, Hash: hash, Header: c, Body: 1 - c,
					Names: DefaultNames(), Identity: "x@a.example", Created: 100, Expires: 200}
				h, _ := hashByName(hash)
				b := NewBody(s.Body, true)
				sum := b.Hash(h.New(), -1)
				b.Write([]byte(body))
				b.Close()
				field, err := s.Sign(rand.Reader, section, sum.Sum())
				if err != nil {
					t.Fatal(err)
				}
				for _, line := range strings.Split(strings.TrimSuffix(field, "\n"), "\n") {
					if len(line) > lineWidth {
						t.Errorf("long line %q", line)
					}
				}
				r := verify(t, Policy{OnlyLF: true, Hashes: []string{hash}}, k.txt, field+strings.Join(fields, "")+"\n"+body)
				if len(r) != 1 || r[0].Reason != Good || r[0].Created != 100 || r[0].Expires != 200 || !strings.HasPrefix(strings.Join(r[0].Names, ":"), "Subject:To:From:Sender:Reply-To:Date") {
					t.Errorf("%s %v: %+v", s.Algorithm(), c, r[0])
				}
			}
		}
	}
	if _, err := (&Signing{Key: k.ed, Hash: "md5"}).Sign(rand.Reader, section, nil); !errors.Is(err, ErrAlgorithm) {
		t.Error(err)
	}
}

// TestSelectNames compares with what exim 4.96 makes of the same options and header.
func TestSelectNames(t *testing.T) {
	s := NewSection([]string{"X-Multi: 1\n", "From: a\n", "To: b\n", "Subject: t\n", "x-mulTi: 2\n", "SUBJECT: s\n", "Message-ID: m\n", "Date: d\n"})
	for items, want := range map[string]string{
		"to:FROM:subject:Subject:+x-multi:=to:X-MULTI": "SUBJECT:x-mulTi:Subject:To:From:X-Multi:x-multi:X-MULTI",
		"X-MULTI:from":                       "x-mulTi:From",
		"=X-MULTI:from:X-Multi:=nope:nope2":  "x-mulTi:From:X-Multi:X-Multi:nope2",
		"From:To:=Subject:+Date:X-No: : = :": "Date:SUBJECT:Subject:To:From:Date:X-No",
		"":                                   "",
	} {
		if got := strings.Join(SelectNames(s, strings.Split(items, ":")), ":"); got != want {
			t.Errorf("%s: %s", items, got)
		}
	}
}

// TestFolding compares with fields made by Exim.
func TestFolding(t *testing.T) {
	b64 := func(n int) string { return strings.Repeat("A", n) }
	for _, x := range []struct {
		name string
		do   func(f *folded)
		want string
	}{
		{"short", func(f *folded) { f.tag("d", "test.ex"); f.tag("s", "sel") }, " d=test.ex; s=sel;"},
		{"semicolon", func(f *folded) { f.column = 68; f.tag("d", "test.ex"); f.tag("s", "sel") }, " d=test.ex\n\t; s=sel;"},
		{"next line", func(f *folded) { f.column = 69; f.tag("d", "test.ex"); f.tag("s", "sel") }, "\n\td=test.ex; s=sel;"},
		{"long value", func(f *folded) { f.column = 70; f.tag("b", b64(88)) }, " b=" + b64(5) + "\n\t" + b64(77) + "\n\t" + b64(6) + ";"},
		{"long value at the end", func(f *folded) { f.column = 75; f.tag("b", b64(88)) }, " b=\n\t" + b64(77) + "\n\t" + b64(11) + ";"},
		{"list", func(f *folded) { f.column = 60; f.list("h", []string{"From", "Subject", "To"}) }, " h=From:Subject:To\n\t;"},
		{"long list", func(f *folded) { f.column = 60; f.list("h", []string{"From", "Subject", "Date", "To"}) }, " h=From:Subject:\n\tDate:To;"},
	} {
		f := folded{column: 15}
		x.do(&f)
		if got := f.b.String(); got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
}

func TestKeys(t *testing.T) {
	k := keys()
	der := must(x509.MarshalPKCS8PrivateKey(k.ed.signer))
	rsaDER := x509.MarshalPKCS1PrivateKey(k.rsa.signer.(*rsa.PrivateKey))
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for name, text := range map[string]string{
		"ed25519 PKCS8": block("PRIVATE KEY", der), "ed25519 seed": base64.StdEncoding.EncodeToString(der[len(der)-32:]), "ed25519 no PEM": base64.StdEncoding.EncodeToString(der),
		"rsa PKCS1": "junk before\n" + block("RSA PRIVATE KEY", rsaDER), "rsa PKCS8": block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k.rsa.signer))),
		"rsa no PEM": base64.StdEncoding.EncodeToString(rsaDER),
	} {
		if key, err := ParsePrivateKey(text); err != nil || key.Type() != strings.Fields(name)[0] {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "junk", "AAAA", block("PRIVATE KEY", []byte("x")), block("ENCRYPTED PRIVATE KEY", der)} {
		if _, err := ParsePrivateKey(text); !errors.Is(err, ErrPrivateKey) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	// a public key alone, as PKCS #1 and as a wrapped Ed25519 key
	if p, err := ParsePublicKey("rsa", x509.MarshalPKCS1PublicKey(&k.rsa.signer.(*rsa.PrivateKey).PublicKey)); err != nil || p.Bits() != 1024 {
		t.Error(err)
	}
	wrapped := must(x509.MarshalPKIXPublicKey(k.ed.signer.Public()))
	if p, err := ParsePublicKey("ed25519", wrapped); err != nil || p.Bits() != 253 || p.Type() != "ed25519" {
		t.Error(err)
	}
	for kind, der := range map[string][]byte{"rsa": wrapped, "ed25519": []byte("short"), "dsa": wrapped} {
		if _, err := ParsePublicKey(kind, der); err == nil {
			t.Errorf("%s accepted", kind)
		}
	}
	if (PublicKey{}).Verify(crypto.SHA256, nil, nil) == nil || (PublicKey{}).Valid() || (PublicKey{}).Bits() != 0 {
		t.Error("no key")
	}
}

// TestShortKey: the message of 512 bits that old Mail::DKIM made.
func TestShortKey(t *testing.T) {
	text := "DKIM-Signature: v=1; a=rsa-sha1; c=simple/simple; d=test.ex; h=from:to\n\t:date:message-id:subject; s=ses; bh=OB9dZVu7+5/ufs3TH9leIcEpXSo=; b=\n" +
		"\tcIErF1eueIT9AU4qG54FyT3yrlVDDM7RZnuU6fWTevZpAuMqhYcRO8tU3U4vtKWB\n\t+I2vd+F1gzqCzBcRtfLhZg==\nFrom: mrgus@text.ex\nTo: bakawolf@yahoo.com\n" +
		"Date: Thu, 19 Nov 2015 17:00:07 -0700\nMessage-ID: <qwerty1234@disco-zombie.net>\nSubject: simple test\n\nThis is a simple test.\n"
	txt := func(context.Context, string) ([]string, error) {
		return []string{"v=DKIM1; n=halfkilo; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL6eAQxd9didJ0/+05iDwJOqT6ly826Vi8aGPecsBiYK5/tAT97fxXk+dPWMZp9kQxtknEzYjYjAydzf+HQ2yJMCAwEAAQ=="}, nil
	}
	p := Policy{OnlyLF: true, Hashes: []string{"sha1"}}
	if r := verify(t, p, txt, text); r[0].Reason != Good || r[0].Key.Notes != "halfkilo" || r[0].Bits() != 512 {
		t.Errorf("%+v", r[0])
	}
	if r := verify(t, p, txt, strings.Replace(text, "cIErF1", "cIErF2", 1)); r[0].Reason != HeaderChanged {
		t.Errorf("%+v", r[0])
	}
	if len(verify(t, Policy{}, txt, text)) != 0 {
		t.Error("sha1 is verified by default")
	}
	bad := bytes.Repeat([]byte{0xff}, 64)
	if k := must(ParseKey(must(txt(nil, ""))[0])); k.Public.Verify(crypto.SHA1, make([]byte, 20), bad) == nil || k.Public.Verify(crypto.SHA512, make([]byte, 64), bad) == nil {
		t.Error("bad signature accepted")
	}
}
