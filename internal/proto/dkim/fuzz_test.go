package dkim

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"testing"
)

func FuzzTags(f *testing.F) {
	f.Add("v=DKIM1; k=rsa; p=AAAA")
	f.Add(" a = b c ;\r\n\tb=")
	f.Fuzz(func(t *testing.T, text string) {
		tags, err := ParseTags(text)
		seen := map[string]bool{}
		for _, tag := range tags {
			if seen[tag.Name] || tag.Name == "" || strings.ContainsAny(tag.Value, ";") {
				t.Errorf("%q in %q", tag, text)
			}
			seen[tag.Name] = true
		}
		if err == nil {
			var b strings.Builder
			for _, tag := range tags {
				b.WriteString(tag.Name + "=" + tag.Value + ";")
			}
			if again, err := ParseTags(b.String()); err != nil || len(again) != len(tags) {
				t.Errorf("%q: %v %v", text, again, err)
			}
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, r := range keys().records {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := ParseKey(text); err == nil {
			if !k.Public.Valid() || k.Public.Bits() > MaxKeyBits {
				t.Errorf("%q: %d bits", text, k.Public.Bits())
			}
			k.Public.Verify(Algorithm{"rsa", "sha256"}.CryptoHash(), make([]byte, 32), make([]byte, 128))
		}
	})
}

func FuzzSignature(f *testing.F) {
	f.Add("DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=rsa; h=from; bh=AAAA; b=AAAA\n", "body\n")
	f.Add("DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; l=3; d=a.example; s=ed; h=from:from; i=@a.example; t=1; x=2; z=a=20; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\n", "")
	f.Fuzz(func(t *testing.T, field, body string) {
		v, err := NewVerifier(Policy{MaxLine: 100}, []string{field, "From: a\n"})
		if err != nil {
			t.Fatal(err)
		}
		v.Write([]byte(body))
		v.Close()
		results, _ := v.Verify(context.Background(), keys().txt)
		for _, r := range results {
			if r.Reason == Good {
				t.Errorf("%q is good", field)
			}
			if strings.ContainsAny(r.Domain+r.Selector, " \r\n\x00;") && r.Reason != BadSyntax && r.Reason != BadVersion {
				t.Errorf("name %q %q", r.Domain, r.Selector)
			}
		}
		if got := WithoutSignature(field); len(got) > len(field) || WithoutSignature(got) != got {
			t.Errorf("%q: %q", field, got)
		}
	})
}

// FuzzBody: how the body is cut changes nothing, and canonical bodies stay what they are.
func FuzzBody(f *testing.F) {
	f.Add([]byte(" C \r\nD \t E\r\n\r\n\r\n"), 3, true, false)
	f.Add([]byte("a\r\r\n \r\n\r"), 2, false, true)
	f.Fuzz(func(t *testing.T, body []byte, cut int, relaxed, onlyLF bool) {
		c := Simple
		if relaxed {
			c = Relaxed
		}
		cut = max(0, min(cut, len(body)))
		whole := canonicalBody(c, onlyLF, string(body))
		if pieces := canonicalBody(c, onlyLF, string(body[:cut]), string(body[cut:])); pieces != whole {
			t.Errorf("%q cut at %d: %q and %q", body, cut, whole, pieces)
		}
		if !onlyLF {
			if again := canonicalBody(c, false, whole); again != whole {
				t.Errorf("%q: %q, then %q", body, whole, again)
			}
		}
	})
}

func FuzzPrivateKey(f *testing.F) {
	f.Add("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n")
	f.Fuzz(func(_ *testing.T, text string) { ParsePrivateKey(text) })
}

// FuzzSign: what is signed verifies, whatever the header looks like.
func FuzzSign(f *testing.F) {
	f.Add("From: a\n", "x : \t b\n c\n", "from:=x:+x", "a@a.example", true)
	f.Add("0", "0", "=:0000000000000\n0", "0", false)
	f.Fuzz(func(t *testing.T, one, two, names, identity string, relaxed bool) {
		// A line end within a field is one only before white space.
		if strings.Contains(strings.ReplaceAll(strings.TrimSuffix(one, "\n")+strings.TrimSuffix(two, "\n"), "\n ", ""), "\n") || names == "" {
			t.Skip()
		}
		c := Simple
		if relaxed {
			c = Relaxed
		}
		section := NewSection([]string{one, two})
		s := &Signing{Domain: "a.example", Selector: "ed", Key: keys().ed, Hash: "sha256", Header: c, Body: c, Names: strings.Split(names, ":")}
		sum := sha256.Sum256([]byte(canonicalBody(c, true, "x\n")))
		field, err := s.Sign(rand.Reader, section, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		if rest := strings.ReplaceAll(strings.TrimSuffix(field, "\n"), "\n\t", ""); strings.ContainsAny(rest, "\r\n\x00") {
			t.Fatalf("%q is not one field", field)
		}
		v, err := NewVerifier(Policy{OnlyLF: true}, []string{field, one, two})
		if err != nil {
			t.Fatal(err)
		}
		v.Write([]byte("x\n"))
		v.Close()
		results, _ := v.Verify(context.Background(), keys().txt)
		if len(results) != 1 || results[0].Reason != Good && results[0].Reason != BadSyntax {
			t.Errorf("%q: %+v", field, results)
		}
	})
}

func BenchmarkVerifyRSA2048(b *testing.B) {
	body := strings.Repeat("A line of text as people write them, with some words in it.\n", 10240/60)
	text := signed("v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.example; s=rsa2048; h=from:to:subject; bh=BH", strings.Replace(message, "\n\n", "\n\n"+body, 1), keys().rsa2048)
	fields, rest := split(text)
	piece := []byte(rest)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		v, _ := NewVerifier(Policy{OnlyLF: true}, fields)
		v.Write(piece)
		v.Close()
		if r, _ := v.Verify(context.Background(), keys().txt); r[0].Reason != Good {
			b.Fatal(r[0].Reason)
		}
	}
}

func benchmarkSign(b *testing.B, key *PrivateKey) {
	fields, rest := split(message)
	body := bytes.Repeat([]byte(rest), 10240/len(rest))
	b.ReportAllocs()
	for b.Loop() {
		body1 := NewBody(Relaxed, true)
		h := body1.Hash(sha256.New(), -1)
		body1.Write(body)
		body1.Close()
		s := &Signing{Domain: "a.example", Selector: "x", Key: key, Hash: "sha256", Header: Relaxed, Body: Relaxed, Names: DefaultNames()}
		if _, err := s.Sign(rand.Reader, NewSection(fields), h.Sum()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignRSA2048(b *testing.B) { benchmarkSign(b, keys().rsa2048) }
func BenchmarkSignEd25519(b *testing.B) { benchmarkSign(b, keys().ed) }
