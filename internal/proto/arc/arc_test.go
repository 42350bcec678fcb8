package arc

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"exigo/internal/proto/dkim"
)

var now = time.Unix(1_600_000_000, 0)

// keys are two domains' keys: rsa.example and ed.example.
type keys struct {
	rsa, ed *dkim.PrivateKey
	records map[string][]string
	asked   []string
}

func newKeys(t testing.TB) *keys {
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := x509.MarshalPKIXPublicKey(k.Public())
	text := base64.StdEncoding.EncodeToString
	out := &keys{records: map[string][]string{"s._domainkey.rsa.example": {"v=DKIM1; k=rsa; p=" + text(public)},
		// RFC 8032 section 7.1, test 1
		"s._domainkey.ed.example": {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}}}
	if out.rsa, err = dkim.ParsePrivateKey(text(x509.MarshalPKCS1PrivateKey(k))); err != nil {
		t.Fatal(err)
	}
	if out.ed, err = dkim.ParsePrivateKey("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="); err != nil {
		t.Fatal(err)
	}
	return out
}

func (k *keys) txt(_ context.Context, name string) ([]string, error) {
	k.asked = append(k.asked, name)
	if r, ok := k.records[name]; ok {
		if r == nil {
			return nil, errors.New("SERVFAIL")
		}
		return r, nil
	}
	return nil, fmt.Errorf("%w: %s", dkim.ErrNoRecord, name)
}

// seal puts a set on the message. Odd hops are rsa.example's, even ones ed.example's.
func (k *keys) seal(t testing.TB, message, results string, change func(*Seal)) string {
	t.Helper()
	fields, body := splitMessage(message)
	s := &Seal{Domain: "rsa.example", Selector: "s", Key: k.rsa, Header: dkim.Relaxed, Random: rand.Reader}
	if NewChain(fields).Len()%2 == 1 {
		s.Domain, s.Key, s.Body = "ed.example", k.ed, dkim.Relaxed
	}
	fields = append([]string{"Authentication-Results: " + s.Domain + "; " + results + "\n"}, fields...)
	var ok bool
	if s.Results, s.Status, ok = Combine(fields, s.Domain, "192.0.2.1"); !ok {
		t.Fatal("nothing to combine")
	}
	s.Names = SignedNames(fields, []string{"from", "to", "subject", "date"}, 100)
	if change != nil {
		change(s)
	}
	w, hash := s.NewBody(true)
	io.WriteString(w, body)
	w.Close()
	set, err := s.Set(fields, hash.Sum())
	if err != nil {
		t.Fatal(err)
	}
	return set + strings.Join(fields, "") + "\n" + body
}

func (k *keys) verify(message string) Outcome {
	fields, body := splitMessage(message)
	v := NewVerifier(fields, true)
	for i := 0; i < len(body); i += 7 {
		io.WriteString(v, body[i:min(i+7, len(body))])
	}
	v.Close()
	return v.Verify(context.Background(), k.txt, now)
}

const plain = "From: a@b.example\nTo: c@d.example\nSubject: test\n  of folding\n\nThe  body\n of it.\n\n\n"

// chain makes a message with n sets.
func (k *keys) chain(t testing.TB, n int) string {
	message := plain
	for i := range n {
		message = k.seal(t, message, "arc="+string([]Result{None, Pass}[min(i, 1)]), nil)
	}
	return message
}

func TestChains(t *testing.T) {
	k := newKeys(t)
	for _, n := range []int{0, 1, 2, 3, 6, MaxSets} {
		message := k.chain(t, n)
		want := Outcome{Result: Pass, Instances: n, OldestPass: 1, Selector: "s", Domain: "ed.example"}
		for i := range n {
			want.Domains = append(want.Domains, []string{"rsa.example", "ed.example"}[i%2])
		}
		switch {
		case n == 0:
			want = Outcome{Result: None}
		case n%2 == 1:
			want.Domain = "rsa.example"
		}
		k.asked = nil
		if got := k.verify(message); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d sets: %+v, want %+v", n, got, want)
		}
		if len(k.asked) > 2 {
			t.Errorf("%d sets: %d questions", n, len(k.asked))
		}
	}
	fields, _ := splitMessage(k.chain(t, MaxSets))
	if _, err := (&Seal{Key: k.ed, Status: Pass}).Set(fields, nil); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}

// TestChanges: what happens to a chain of three sets on the way.
func TestChanges(t *testing.T) {
	k := newKeys(t)
	base := k.chain(t, 3)
	cut := func(expression string) func(string) string {
		return func(s string) string {
			return regexp.MustCompile(`(?m)^`+expression+`.*\n([ \t].*\n)*`).ReplaceAllString(s, "")
		}
	}
	put := func(old, new string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Errorf("no %q", old)
			}
			return strings.Replace(s, old, new, 1)
		}
	}
	for _, x := range []struct {
		name   string
		change func(string) string
		result Result
		reason string
		oldest int
	}{
		{"nothing", func(s string) string { return s }, Pass, "", 1},
		{"CRLF in header", func(s string) string {
			head, body, _ := strings.Cut(s, "\n\n")
			return strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\n" + body
		}, Pass, "", 1},
		{"field added", put("From:", "X-New: field\nFrom:"), Pass, "", 1},
		{"body", put("of it", "of  it!"), Fail, "AMS body hash miscompare", 0},
		{"subject", put("Subject: test", "Subject: changed"), Fail, "AMS sig nonverify", 0},
		{"newest results", put("i=3; rsa.example; smtp.remote-ip=192.0.2.1; arc=pass", "i=3; rsa.example; smtp.remote-ip=192.0.2.1; arc=fail"), Fail, "i=3 (AS sig nonverify)", 1},
		{"oldest results", put("i=1; rsa.example; smtp.remote-ip=192.0.2.1; arc=none", "i=1; rsa.example; smtp.remote-ip=192.0.2.1; arc=pass"), Fail, "i=3 (AS sig nonverify)", 1},
		{"no seal", cut("ARC-Seal: i=2"), Fail, "i=2 (missing AS)", 0},
		{"no signature", cut("ARC-Message-Signature: i=1"), Fail, "i=1 (missing AMS)", 0},
		{"no results", cut("ARC-Authentication-Results: i=3"), Fail, "i=3 (missing AAR)", 0},
		{"no newest set", cut("ARC-[A-Za-z-]*: i=3"), Pass, "", 1},
		{"no oldest set", cut("ARC-[A-Za-z-]*: i=1"), Fail, "i=1 (missing AAR)", 0},
		{"two of a kind", put("From:", "ARC-Authentication-Results: i=2; x\nFrom:"), Fail, "i=2 (duplicate AAR)", 0},
		{"instance 0", put("ARC-Seal: i=1", "ARC-Seal: i=0"), Fail, "AS malformed", 0},
		{"instance 51", put("ARC-Seal: i=1", "ARC-Seal: i=51"), Fail, "AS malformed", 0},
		{"no instance", put("ARC-Seal: i=1; ", "ARC-Seal: "), Fail, "AS malformed", 0},
		{"results without instance", put("Results: i=2; ", "Results: "), Fail, "AAR malformed", 0},
		{"duplicate tag", put("ARC-Message-Signature: i=3;", "ARC-Message-Signature: i=3; i=3;"), Fail, "AMS malformed", 0},
		{"status", put("i=2; cv=pass", "i=2; cv=none"), Fail, "i=3 (AS sig nonverify)", 1},
		{"newest status", put("i=3; cv=pass", "i=3; cv=none"), Fail, "i=3 (cv)", 1},
		{"ended", put("i=3; cv=pass", "i=3; cv=fail"), Fail, "i=3 (cv)", 0},
		{"h in seal", put("ARC-Seal: i=3;", "ARC-Seal: i=3; h=from;"), Fail, "i=3 (h= in AS)", 1},
		{"algorithm of seal", put("ARC-Seal: i=3; cv=pass; a=rsa-sha256", "ARC-Seal: i=3; cv=pass; a=rsa-sha1"), Fail, "i=3 (AS algorithm)", 1},
		{"algorithm", put("ARC-Message-Signature: i=3; a=rsa-sha256", "ARC-Message-Signature: i=3; a=rsa-sha1"), Fail, "AMS algorithm", 0},
		{"canonicalization", put("ARC-Message-Signature: i=3; a=rsa-sha256; c=relaxed", "ARC-Message-Signature: i=3; a=rsa-sha256; c=other"), Fail, "AMS canonicalization", 0},
		{"selector", put("ARC-Message-Signature: i=3; a=rsa-sha256; c=relaxed; d=rsa.example; s=s", "ARC-Message-Signature: i=3; a=rsa-sha256; c=relaxed; d=rsa.example; s=t"),
			Fail, "AMS no key for signature: t._domainkey.rsa.example", 0},
		{"domain of seal", put("a=rsa-sha256; d=rsa.example; s=s;\n\t b=", "a=rsa-sha256; d=ed.example; s=s;\n\t b="), Fail, "i=3 (AS pubkey not for this signature)", 1},
		{"no domain of seal", put("a=rsa-sha256; d=rsa.example; s=s;\n\t b=", "a=rsa-sha256; s=s;\n\t b="), Fail, "i=3 (AS d= or s= missing)", 1},
		{"signature covers seals", put("\th=", "\th=ARC-Seal:"), Fail, "AMS h=", 0},
		{"empty h", func(s string) string { return regexp.MustCompile(`\th=[^;]*`).ReplaceAllString(s, "\th=") }, Fail, "AMS h=", 0},
		{"no hash", func(s string) string { return regexp.MustCompile(`\tbh=[^;]*`).ReplaceAllString(s, "\tbh=") }, Fail, "AMS bh=", 0},
		{"signature no base64", func(s string) string { return regexp.MustCompile(`\tb=[^;]*`).ReplaceAllString(s, "\tb=?") }, Fail, "AMS b=", 0},
		{"expired", put("s=s;\n\tbh=", "s=s; x=1599999999;\n\tbh="), Fail, "AMS expired", 0},
		{"length", put("s=s;\n\tbh=", "s=s; l=x;\n\tbh="), Fail, "AMS l=", 0},
	} {
		got := k.verify(x.change(base))
		if got.Result != x.result || got.Reason != x.reason || got.OldestPass != x.oldest {
			t.Errorf("%s: %+v, want %s %q %d", x.name, got, x.result, x.reason, x.oldest)
		}
	}
	// one changed byte fails, wherever in what is covered it is
	head, _, _ := strings.Cut(base, "Authentication-Results:")
	for at := 0; at < len(head); at += 11 {
		if c := head[at]; c > ' ' && c != ';' && c != ':' && c != '=' && c != '-' && c != '/' {
			changed := base[:at] + string(c^1) + base[at+1:]
			if strings.EqualFold(changed, base) {
				continue
			}
			if o := k.verify(changed); o.Result == Pass && strings.Contains(changed, "ARC-Seal: i=3") && !strings.Contains(head[:at], "ARC-Message-Signature: i=1") {
				t.Errorf("%q at %d passes", c, at)
			}
		}
	}
}

// TestModification: a list that changes the message between hops shows in the oldest pass.
func TestModification(t *testing.T) {
	k := newKeys(t)
	message := strings.Replace(k.chain(t, 2), "Subject: test", "Subject: [list] test", 1) + "footer\n"
	for i, want := range []string{"fail i=2 0 AMS body hash miscompare", "pass i=3 3 ", "pass i=4 3 "} {
		o := k.verify(message)
		if got := fmt.Sprintf("%s i=%d %d %s", o.Result, o.Instances, o.OldestPass, o.Reason); got != want {
			t.Errorf("%d: %s, want %s", i, got, want)
		}
		message = k.seal(t, message, "arc=pass", nil)
	}
}

// TestFailed: of a failed chain the seal covers only its own set; nobody seals after it.
func TestFailed(t *testing.T) {
	k := newKeys(t)
	for name, message := range map[string]string{
		"changed": k.chain(t, 2), "no seal": regexp.MustCompile(`(?m)^ARC-Seal: i=2.*\n([ \t].*\n)*`).ReplaceAllString(k.chain(t, 2), ""),
	} {
		sealed := k.seal(t, message, "arc=fail", nil)
		if o := k.verify(sealed); o.Result != Fail || o.Instances != 3 {
			t.Errorf("%s: %+v", name, o)
		}
		fields, _ := splitMessage(sealed)
		c := NewChain(fields)
		sig, _ := base64Tag(c.sets[2].tag(seal, "b"))
		h := dkim.Algorithm{Key: "rsa", Hash: "sha256"}.CryptoHash()
		if err := k.rsa.Public().Verify(h, c.sealed(h, 3, 3), sig); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := (&Seal{Key: k.ed, Status: Pass}).Set(fields, nil); !errors.Is(err, ErrEnded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// a chain of which nothing is known is not sealed
	fields, _ := splitMessage(k.chain(t, 1))
	for _, status := range []Result{None, "", TempError, "other"} {
		if _, err := (&Seal{Key: k.ed, Status: status}).Set(fields, nil); !errors.Is(err, ErrStatus) {
			t.Errorf("%s: %v", status, err)
		}
	}
}

// TestHashLimit: a chain that wants ever other hashes of the body does not get them all.
func TestHashLimit(t *testing.T) {
	k := newKeys(t)
	message := k.chain(t, 12)
	for i := range 12 {
		message = strings.Replace(message, "s=s;\n\tbh=", fmt.Sprintf("s=s; l=%d;\n\tbh=", i), 1)
	}
	fields, _ := splitMessage(message)
	v := NewVerifier(fields, true)
	if v.hashes != maxHashes || v.faults[11] != "" || v.faults[0] == "" {
		t.Errorf("%d hashes, %q", v.hashes, v.faults)
	}
}

func TestKeys(t *testing.T) {
	k := newKeys(t)
	message := k.chain(t, 2)
	for record, want := range map[string]string{
		"":                       "temperror AMS pubkey unavailable: s._domainkey.ed.example",
		"v=DKIM1; k=ed25519; p=": "fail AMS key revoked: s._domainkey.ed.example",
		"v=DKIM1; p":             "fail AMS key syntax error: malformed tag list: s._domainkey.ed.example",
		"v=DKIM1; k=ed25519; h=sha1; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=":     "fail AMS pubkey not for this signature",
		"v=DKIM1; k=ed25519; s=other; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=":    "fail AMS pubkey not for this signature",
		"v=DKIM1; k=ed25519; s=email; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=":    "pass ",
		"v=DKIM1; k=ed25519; t=y:s; n=x; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=": "pass ",
	} {
		k.records["s._domainkey.ed.example"] = []string{record}
		if record == "" {
			k.records["s._domainkey.ed.example"] = nil
		}
		if o := k.verify(message); string(o.Result)+" "+o.Reason != want {
			t.Errorf("%s: %s %s", record, o.Result, o.Reason)
		}
	}
}

// TestFormat has the layout of Exim, with times, and folding of what is long.
func TestFormat(t *testing.T) {
	k := newKeys(t)
	message := k.seal(t, strings.Repeat("Subject: x\n", 12)+"\n", "arc=none;\n\tspf=pass", func(s *Seal) { s.Time, s.Expiry = now, now.Add(time.Hour) })
	got := regexp.MustCompile(`[A-Za-z0-9+/]{60,}|[A-Za-z0-9+/]{20,}=`).ReplaceAllString(message, "X")
	want := "ARC-Seal: i=1; cv=none; a=rsa-sha256; d=rsa.example; s=s; t=1600000000;\n\t b=X\n\t  X\n\t  X;\n" +
		"ARC-Authentication-Results: i=1; rsa.example; smtp.remote-ip=192.0.2.1; arc=none;\n\tspf=pass\n" +
		"ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed; d=rsa.example; s=s;\n\tt=1600000000; x=1600003600;\n\tbh=X;\n" +
		"\th=Subject:Subject:Subject:Subject:Subject:Subject:Subject:Subject:\n\t Subject:Subject:Subject:Subject;\n\tb=X\n\t  X\n\t  X;\n" +
		"Authentication-Results: rsa.example; arc=none;\n\tspf=pass\n"
	if !strings.HasPrefix(got, want) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if o := k.verify(message); o.Result != Pass {
		t.Errorf("%+v", o)
	}
}

func TestCombine(t *testing.T) {
	for _, x := range []struct {
		fields string
		want   string
		status Result
		ok     bool
	}{
		{"Authentication-Results: a.example; arc=none\nauthentication-results : A.Example;\n\tarc=pass (i=1);\n\tspf=pass\n", "a.example; arc=none;\n\tarc=pass (i=1);\n\tspf=pass", None, true},
		// what stands below the domain's own set is older
		{"Authentication-Results: a.example; arc=pass\nARC-Seal: i=2; d=b.example\nARC-Seal: i=1; d=A.example\nAuthentication-Results: a.example; arc=none\n", "a.example; arc=pass", Pass, true},
		{"Authentication-Results: a.example; arc=pass\nARC-Seal: i=1; d=b.example\nAuthentication-Results: a.example; spf=none\n", "a.example; arc=pass;\n\tspf=none", Pass, true},
		{"ARC-Seal: i=1; d=a.example\nAuthentication-Results: a.example; arc=none\n", "a.example; arc=none", None, true},
		{"Authentication-Results: b.example; arc=none\n", "a.example; none", "", false},
		{"Authentication-Results: a.example\n", "a.example; none", "", true},
		{"Authentication-Results: a.example 1; none\nAuthentication-Results: a.example;spf=pass\n", "a.example; spf=pass", "", true},
		{"Authentication-Results: a.example; spf=pass (open\nAuthentication-Results: a.example 2; dkim=pass\n", "a.example; none", "", false},
		// not plainly ours
		{"Authentication-Results: (;) a.example; spf=pass\nAuthentication-Results: \"a.example\"; spf=pass\nX-Authentication-Results: a.example; spf=pass\n", "a.example; none", "", false},
	} {
		fields, _ := splitMessage(x.fields + "\n")
		if got, status, ok := Combine(fields, "a.example", ""); got != x.want || status != x.status || ok != x.ok {
			t.Errorf("%q: %q %q %v", x.fields, got, status, ok)
		}
	}
}

// FuzzVerify: nothing that a message holds does harm, and only what was sealed passes.
func FuzzVerify(f *testing.F) {
	k := newKeys(f)
	f.Add(k.chain(f, 2))
	f.Add("ARC-Seal: i=1; cv=none; a=rsa-sha256; b=eA==; d=rsa.example; s=s\nARC-Message-Signature: i=1; a=rsa-sha256; b=eA==; bh=eA==; d=rsa.example; s=s; h=a\nARC-Authentication-Results: i=1; x\n\n")
	f.Fuzz(func(t *testing.T, message string) {
		k.asked = nil
		o := k.verify(message)
		fields, _ := splitMessage(message)
		if (o.Result == None) != !HasChain(fields) || o.Instances > MaxSets || len(k.asked) > 2*MaxSets || (o.Result == Fail || o.Result == TempError) != (o.Reason != "") {
			t.Errorf("%+v %d", o, len(k.asked))
		}
		set, err := (&Seal{Domain: "ed.example", Selector: "s", Key: k.ed, Status: Pass, Results: "x", Names: []string{"from"}}).Set(fields, []byte("hash"))
		added, _ := splitMessage(set)
		if before := NewChain(fields).Len(); err == nil && NewChain(append(added, fields...)).Len() != before+1 {
			t.Error("no set was added")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k := newKeys(b)
	message := k.chain(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		k.asked = nil
		if o := k.verify(message); o.Result != Pass {
			b.Fatal(o)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	k := newKeys(b)
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	k2048, _ := dkim.ParsePrivateKey(base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(long)))
	fields, _ := splitMessage(plain)
	body := []byte(strings.Repeat("A line of the body of a message that is neither short nor long.\n", 160))
	for name, key := range map[string]*dkim.PrivateKey{"ed25519": k.ed, "rsa2048": k2048} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := &Seal{Domain: "a.example", Selector: "s", Key: key, Header: dkim.Relaxed, Results: "a.example; arc=none", Names: []string{"From", "To", "Subject"}, Random: rand.Reader}
				w, hash := s.NewBody(true)
				w.Write(body)
				w.Close()
				if _, err := s.Set(fields, hash.Sum()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
