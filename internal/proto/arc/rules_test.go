package arc

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"exigo/internal/proto/dkim"
)

// forgery is a set whose texts a test chooses and that is signed all the same: in message and seal, @ stands for the signature and H for the hash
// of the body; c is how the hash is made. Nothing but what the texts say is wrong with it.
type forgery struct {
	results, message, seal string
	header, body           dkim.Canonicalization
}

// sound is what a forgery starts from.
func sound() *forgery {
	return &forgery{results: " i=1; rsa.example; spf=pass", message: " i=1; a=rsa-sha256; c=relaxed/relaxed; d=rsa.example; s=s; h=from:subject; bh=H; b=@",
		seal: " i=1; cv=none; a=rsa-sha256; d=rsa.example; s=s; b=@", header: dkim.Relaxed, body: dkim.Relaxed}
}

const forgedFields, forgedBody = "From: a@b.example\nSubject:  of\n  folding \n", "The  body \n of it.\n\n\n"

// sign makes the message: the set's fields above the others.
func (f *forgery) sign(t *testing.T, k *keys, key *dkim.PrivateKey) string {
	t.Helper()
	h := crypto.SHA256
	w := dkim.NewBody(f.body, true)
	hash := w.Hash(h.New(), -1)
	w.Write([]byte(forgedBody))
	w.Close()
	sign := func(c dkim.Canonicalization, fields []string, field string) string {
		digest := dkim.HashHeader(h.New(), c, fields, strings.Replace(field, "@", "", 1))
		sig, err := key.Sign(rand.Reader, h, digest)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Replace(field, "@", base64.StdEncoding.EncodeToString(sig), 1)
	}
	fields, _ := splitMessage(forgedFields + "\n")
	results, message, seal := ResultsField+":"+f.results+"\n", SignatureField+":"+strings.Replace(f.message, "bh=H", "bh="+base64.StdEncoding.EncodeToString(hash.Sum()), 1)+"\n", SealField+":"+f.seal+"\n"
	var names []string
	if tags, err := dkim.ParseTags(f.message); err == nil {
		list, _ := tags.Get("h")
		names = strings.Split(dkim.RemoveSpace(list), ":")
	}
	message = sign(f.header, dkim.NewSection(append([]string{results, seal}, fields...)).Pick(names), message)
	seal = sign(dkim.Relaxed, []string{results, message}, seal)
	return seal + message + results + forgedFields + "\n" + forgedBody
}

// TestRules goes through what RFC 8617 demands of a set, sections as numbered there: each is broken, or stretched, by itself.
func TestRules(t *testing.T) {
	k := newKeys(t)
	ams := func(old, new string) func(*forgery) {
		return func(f *forgery) { f.message = strings.Replace(f.message, old, new, 1) }
	}
	as := func(old, new string) func(*forgery) {
		return func(f *forgery) { f.seal = strings.Replace(f.seal, old, new, 1) }
	}
	aar := func(text string) func(*forgery) { return func(f *forgery) { f.results = text } }
	canon := func(text string, header, body dkim.Canonicalization) func(*forgery) {
		return func(f *forgery) {
			f.message, f.header, f.body = strings.Replace(f.message, " c=relaxed/relaxed;", text, 1), header, body
		}
	}
	for _, x := range []struct {
		name   string
		change func(*forgery)
		want   string
	}{
		{"nothing", func(*forgery) {}, "pass "},
		// 4.1.1: the results
		{"AAR: spaces around the number", aar("\n\ti = 1 ;\n\trsa.example; none"), "pass "},
		{"AAR: two digits", aar(" i=01; rsa.example; none"), "pass "},
		{"AAR: empty payload", aar(" i=1;"), "pass "},
		{"AAR: number empty", aar(" i=; rsa.example; none"), "fail AAR malformed"},
		{"AAR: not a number", aar(" i=1x; rsa.example; none"), "fail AAR malformed"},
		{"AAR: number not in front", aar(" rsa.example; i=1"), "fail AAR malformed"},
		{"AAR: other instance", aar(" i=2; rsa.example; none"), "fail i=1 (missing AAR)"},
		// 4.1.2: the message signature
		{"AMS: c absent", canon("", dkim.Simple, dkim.Simple), "pass "},
		{"AMS: c=simple", canon(" c=simple;", dkim.Simple, dkim.Simple), "pass "},
		{"AMS: c=relaxed", canon(" c=relaxed;", dkim.Relaxed, dkim.Simple), "pass "},
		{"AMS: c=simple/relaxed", canon(" c=simple/relaxed;", dkim.Simple, dkim.Relaxed), "pass "},
		{"AMS: c empty", canon(" c=;", dkim.Simple, dkim.Simple), "fail AMS canonicalization"},
		{"AMS: c unknown", canon(" c=relaxed/other;", dkim.Relaxed, dkim.Relaxed), "fail AMS canonicalization"},
		{"AMS: a absent", ams(" a=rsa-sha256;", ""), "fail AMS algorithm"},
		{"AMS: a empty", ams("a=rsa-sha256", "a="), "fail AMS algorithm"},
		{"AMS: rsa-sha1", ams("a=rsa-sha256", "a=rsa-sha1"), "fail AMS algorithm"},
		{"AMS: a unknown", ams("a=rsa-sha256", "a=rsa-md5"), "fail AMS algorithm"},
		{"AMS: a of another key", ams("a=rsa-sha256", "a=ed25519-sha256"), "fail AMS pubkey not for this signature"},
		{"AMS: d absent", ams(" d=rsa.example;", ""), "fail AMS d= or s= missing"},
		{"AMS: d empty", ams("d=rsa.example;", "d=;"), "fail AMS d= or s= missing"},
		{"AMS: s absent", ams(" s=s;", ""), "fail AMS d= or s= missing"},
		{"AMS: b absent", ams("; b=@", ""), "fail AMS b="},
		{"AMS: b empty", ams("b=@", "b="), "fail AMS b="},
		{"AMS: b folded", ams("b=@", "b=\n\t @ \n "), "pass "},
		{"AMS: bh absent", ams(" bh=H;", ""), "fail AMS bh="},
		{"AMS: bh of another body", ams("bh=H", "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), "fail AMS body hash miscompare"},
		{"AMS: h absent", ams(" h=from:subject;", ""), "fail AMS h="},
		{"AMS: h empty", ams("h=from:subject", "h="), "fail AMS h="},
		{"AMS: h with a hole", ams("h=from:subject", "h=from::subject"), "fail AMS h="},
		{"AMS: h with a seal", ams("h=from:subject", "h=from:arc-SEAL"), "fail AMS h="},
		{"AMS: h with results", ams("h=from:subject", "h=from:arc-authentication-results"), "pass "},
		{"AMS: h folded, in capitals", ams("h=from:subject", "h=FROM :\n\t Subject"), "pass "},
		{"AMS: h with what is not there", ams("h=from:subject", "h=from:from:reply-to"), "pass "},
		{"AMS: i absent", ams(" i=1;", ""), "fail AMS malformed"},
		{"AMS: i empty", ams("i=1", "i="), "fail AMS malformed"},
		{"AMS: i=0", ams("i=1", "i=0"), "fail AMS malformed"},
		{"AMS: i=51", ams("i=1", "i=51"), "fail AMS malformed"},
		{"AMS: i=2", ams("i=1", "i=2"), "fail i=1 (missing AMS)"},
		{"AMS: t", ams(" h=", " t=1599999999; h="), "pass "},
		{"AMS: x in the future", ams(" h=", " x=1600000001; h="), "pass "},
		{"AMS: x in the past", ams(" h=", " x=1599999999; h="), "fail AMS expired"},
		{"AMS: x no number", ams(" h=", " x=soon; h="), "fail AMS x="},
		{"AMS: unknown tag", ams(" h=", " y_1=some thing; h="), "pass "},
		{"AMS: no such name of a tag", ams(" h=", " 1y=x; h="), "fail AMS malformed"},
		{"AMS: tag twice", ams(" h=", " s=s; h="), "fail AMS malformed"},
		{"AMS: semicolon at the end", ams("b=@", "b=@;"), "pass "},
		{"AMS: two semicolons", ams(" h=", ";; h="), "fail AMS malformed"},
		// 4.1.3: the seal
		{"AS: a absent", as(" a=rsa-sha256;", ""), "fail i=1 (AS algorithm)"},
		{"AS: rsa-sha1", as("a=rsa-sha256", "a=rsa-sha1"), "fail i=1 (AS algorithm)"},
		{"AS: b absent", as("; b=@", ""), "fail i=1 (AS b=)"},
		{"AS: b folded", as("b=@", "b= @\n\t "), "pass "},
		{"AS: d absent", as(" d=rsa.example;", ""), "fail i=1 (AS d= or s= missing)"},
		{"AS: s empty", as("s=s;", "s=;"), "fail i=1 (AS d= or s= missing)"},
		{"AS: s of no key", as("s=s;", "s=t;"), "fail i=1 (AS no key for signature: t._domainkey.rsa.example)"},
		{"AS: cv absent", as(" cv=none;", ""), "fail i=1 (cv)"},
		{"AS: cv empty", as("cv=none", "cv="), "fail i=1 (cv)"},
		{"AS: cv=pass in the first", as("cv=none", "cv=pass"), "fail i=1 (cv)"},
		{"AS: cv=fail", as("cv=none", "cv=fail"), "fail i=1 (cv)"},
		{"AS: cv in capitals", as("cv=none", "cv=NONE"), "pass "},
		{"AS: cv unknown", as("cv=none", "cv=true"), "fail i=1 (cv)"},
		{"AS: h", as(" cv=", " h=from; cv="), "fail i=1 (h= in AS)"},
		{"AS: t", as(" cv=", " t=1599999999; cv="), "pass "},
		{"AS: unknown tag", as(" cv=", " yy=x; cv="), "pass "},
		{"AS: semicolon at the end", as("b=@", "b=@;"), "pass "},
		{"AS: tag twice", as(" cv=", " a=rsa-sha256; cv="), "fail AS malformed"},
		{"AS: i absent", as(" i=1;", ""), "fail AS malformed"},
		{"AS: i=2", as("i=1", "i=2"), "fail i=1 (missing AS)"},
	} {
		f := sound()
		x.change(f)
		message := f.sign(t, k, k.rsa)
		if o := k.verify(message); string(o.Result)+" "+o.Reason != x.want {
			t.Errorf("%s: %s %s, want %s\n%s", x.name, o.Result, o.Reason, x.want, message)
		}
	}
}

// TestArrangement: where the fields stand, and how their names are written, does not matter to relaxed seals (5.2, step 3).
func TestArrangement(t *testing.T) {
	k := newKeys(t)
	fields, body := splitMessage(k.chain(t, 4))
	for i := range fields { // the chain's fields below, the oldest first
		fields[i] = strings.Replace(fields[i], "ARC-Seal", "arc-SEAL", 1)
	}
	var chain, others []string
	for i := len(fields) - 1; i >= 0; i-- {
		if _, ok := fieldKind(fields[i]); ok {
			chain = append(chain, fields[i])
		} else {
			others = append([]string{fields[i]}, others...)
		}
	}
	message := strings.Join(append(others, chain...), "") + "\n" + body
	if o := k.verify(message); o.Result != Pass || o.Instances != 4 {
		t.Errorf("%+v", o)
	}
	for i := range chain { // any of the twelve taken away, or there twice
		for _, list := range [][]string{append(append([]string{}, chain[:i]...), chain[i+1:]...), append(append([]string{}, chain...), chain[i])} {
			kind, _ := fieldKind(chain[i])
			o := k.verify(strings.Join(append(others, list...), "") + "\n" + body)
			want := fmt.Sprintf("i=%d (%s %s)", i/3+1, map[bool]string{true: "missing", false: "duplicate"}[len(list) < len(chain)], kind.short())
			if o.Result != Fail || o.Reason != want {
				t.Errorf("%s: %+v", want, o)
			}
		}
	}
	// whole sets: a gap in the chain, no first one, no last one
	for gap, want := range map[int]string{1: "fail i=1 (missing AAR)", 2: "fail i=2 (missing AAR)", 3: "fail i=3 (missing AAR)", 4: "pass "} {
		list := append(append([]string{}, chain[:3*gap-3]...), chain[3*gap:]...)
		if o := k.verify(strings.Join(append(others, list...), "") + "\n" + body); string(o.Result)+" "+o.Reason != want {
			t.Errorf("without set %d: %+v", gap, o)
		}
	}
}
