package authres

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestParse has the examples of RFC 8601 appendix B, and forms found in mail.
func TestParse(t *testing.T) {
	for _, x := range []struct {
		text string
		want Header
	}{
		{" example.org 1; none", Header{ID: "example.org", Version: "1"}},
		{" example.org", Header{ID: "example.org"}},
		{" example.com;\n\tspf=pass smtp.mailfrom=example.net\n", Header{ID: "example.com", Results: []Result{
			{Method: "spf", Result: "pass", Properties: []Property{{"smtp", "mailfrom", "example.net"}}}}}},
		{" example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n spf=pass smtp.mailfrom=example.net", Header{ID: "example.com", Results: []Result{
			{Method: "auth", Result: "pass", Comment: "cram-md5", Properties: []Property{{"smtp", "auth", "sender@example.net"}}},
			{Method: "spf", Result: "pass", Properties: []Property{{"smtp", "mailfrom", "example.net"}}}}}},
		{" example.com; iprev=pass policy.iprev=192.0.2.200", Header{ID: "example.com", Results: []Result{
			{Method: "iprev", Result: "pass", Properties: []Property{{"policy", "iprev", "192.0.2.200"}}}}}},
		{" example.com; dkim=pass reason=\"good signature\" header.i=@mail-router.example.net; dkim=fail reason=\"bad signature\" header.i=@newyork.example.com",
			Header{ID: "example.com", Results: []Result{
				{Method: "dkim", Result: "pass", Reason: "good signature", Properties: []Property{{"header", "i", "@mail-router.example.net"}}},
				{Method: "dkim", Result: "fail", Reason: "bad signature", Properties: []Property{{"header", "i", "@newyork.example.com"}}}}}},
		{" foo.example.net (foobar) 1 (baz);\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\n policy (A dot can go here) . (like that) expired\n" +
			" (this surprised me) = (as I wasn't expecting it) 1362471462", Header{ID: "foo.example.net", Version: "1", Results: []Result{
			{Method: "dkim", Version: "1", Result: "fail", Comment: "Because I like it)(One yay)(wait for it)(A dot can go here)(like that)(this surprised me)(as I wasn't expecting it",
				Properties: []Property{{"policy", "expired", "1362471462"}}}}}},
		{` "quoted id" ; x=y a.b="c;\"d" a.c="local part"@example.org; smtp.remote-ip=2001:db8::1; local=pass (a (b) c) u=joe;`, Header{ID: "quoted id", Results: []Result{
			{Method: "x", Result: "y", Properties: []Property{{"a", "b", `c;"d`}, {"a", "c", "local part@example.org"}}},
			{Properties: []Property{{"smtp", "remote-ip", "2001:db8::1"}}},
			{Method: "local", Result: "pass", Comment: "a (b) c", Properties: []Property{{"", "u", "joe"}}}}}},
		{"x; DKIM=Pass HEADER.D=A header.b=ab/+c= header.e=", Header{ID: "x", Results: []Result{
			{Method: "dkim", Result: "pass", Properties: []Property{{"header", "d", "A"}, {"header", "b", "ab/+c="}, {"header", "e", ""}}}}}},
	} {
		got, err := Parse(x.text)
		if err != nil || !reflect.DeepEqual(*got, x.want) {
			t.Errorf("%s:\n got %+v %v\nwant %+v", x.text, got, err, x.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]error{
		"": ErrID, "; none": ErrID, " (only a comment)": ErrID, `""; none`: ErrID, "x 2; none": ErrVersion, "x y; none": ErrSyntax,
		"x; =": ErrSyntax, "x; spf": ErrSyntax, "x; spf=": ErrSyntax, "x; spf=pass smtp": ErrSyntax, "x; spf=pass smtp.=x": ErrSyntax, "x; spf=pass smtp.a": ErrSyntax,
		"x; spf=pass (open": ErrSyntax, "x; a=b reason=": ErrSyntax, `x; a=b c.d="open`: ErrSyntax, "x (" + strings.Repeat("(", 100) + strings.Repeat(")", 101): ErrSyntax,
		"x" + strings.Repeat("; a=b", maxResults+1): ErrTooLong, "x; a=b" + strings.Repeat(" c.d=e", maxProperties+1): ErrTooLong, strings.Repeat("x", maxText+1): ErrTooLong,
		"x; a=b )": ErrSyntax, "x; a=b c.d=e)": ErrSyntax,
	} {
		if h, err := Parse(text); !errors.Is(err, want) {
			t.Errorf("%.40s: %+v %v, want %v", text, h, err, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, x := range []struct{ text, id, results string }{
		{" lists.example.org; arc=none;\n  spf=pass smtp.mfrom=a@b;\n\tdmarc=pass  \n", "lists.example.org", "arc=none;\n  spf=pass smtp.mfrom=a@b;\n\tdmarc=pass"},
		{" (c) host 1 (d) ; none", "host", "none"}, {"host", "host", ""}, {"host;", "host", ""}, {"host; ;", "host", ""}, {"host; anything (goes", "host", "anything (goes"},
	} {
		if id, results, err := Split(x.text); id != x.id || results != x.results || err != nil {
			t.Errorf("%q: %q %q %v", x.text, id, results, err)
		}
	}
	if _, _, err := Split("host other; x=y"); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
}

func TestField(t *testing.T) {
	for _, x := range []struct {
		h    Header
		want string
	}{
		{Header{ID: "host"}, "Authentication-Results: host"},
		{Header{ID: "h", Results: []Result{
			{Method: "iprev", Result: "pass", Comment: "localhost", Properties: []Property{{"smtp", "remote-ip", "127.0.0.1"}}},
			{Method: "dkim", Result: "fail", Comment: "body hash mismatch; body probably modified in transit", Break: true, Properties: []Property{{"header", "d", "test.ex"}, {"header", "i", "@test.ex"}}},
			{Method: "arc", Result: "fail", Comment: "i=2)(AMS sig nonverify", Properties: []Property{{"header", "s", "sel"}, {"arc", "oldest-pass", "0"}}},
			{Method: "local", Result: "pass", Properties: []Property{{"", "u", "joe"}}}}},
			"Authentication-Results: h;\n\tiprev=pass (localhost) smtp.remote-ip=127.0.0.1;\n\tdkim=fail (body hash mismatch; body probably modified in transit)\n\t\t header.d=test.ex header.i=@test.ex;\n" +
				"\tarc=fail (i=2)(AMS sig nonverify) header.s=sel arc.oldest-pass=0;\n\tlocal=pass u=joe"},
		// nothing that is written ends what it stands in
		{Header{ID: "h\r\nX: y", Version: "1", Results: []Result{{Method: "a", Version: "2", Result: "b", Comment: "x) c.d=e (y", Reason: "a\"\\\n",
			Properties: []Property{{"c", "d", "a;b"}, {"c", "e", ""}, {"c", "f", "a\r\n b\"\\"}}}}},
			`Authentication-Results: h??X: y 1;` + "\n\t" + `a/2=b (x\) c.d=e \(y) reason="a\"\\?" c.d="a;b" c.e="" c.f="a?? b\"\\"`},
		{Header{ID: "h", Results: []Result{{Method: "a", Result: "b", Comment: `odd \`}, {Method: "a", Result: "b", Comment: "("}, {Method: "a", Result: "b", Comment: "a)(b"},
			{Properties: []Property{{"smtp", "remote-ip", "::1"}}}}},
			"Authentication-Results: h;\n\ta=b (odd \\\\);\n\ta=b (\\();\n\ta=b (a)(b);\n\tsmtp.remote-ip=\"::1\""},
	} {
		if got := x.h.Field(); got != x.want {
			t.Errorf("\n got %q\nwant %q", got, x.want)
		}
	}
}

// FuzzParse: whatever is read is written so that it reads the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a; b=c (d) e.f=g", `x 1; none`, `x; a/1=b reason="c" d.e="f"@g (h(i))`, "x;a.b=c;d=e", `x;a.b=c reason="d";e=f`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, _, splitErr := Split(text)
		h, err := Parse(text)
		if err != nil {
			return
		}
		if splitErr != nil || id != h.ID {
			t.Fatalf("Split: %q %v", id, splitErr)
		}
		written := h.Field()
		for i := 0; i < len(written); i++ {
			if c := written[i]; c == '\r' || c == 0 || c == '\n' && (i+1 == len(written) || written[i+1] != '\t') {
				t.Fatalf("%q", written)
			}
		}
		if r, ok := (&Result{Properties: []Property{{"a", "b", "c"}}}).Property("A", "B"); !ok || r != "c" {
			t.Fatal("Property")
		}
		h.ID = "id" // written as it is, as the administrator's word
		again, err := Parse(h.Payload())
		if err != nil || len(again.Results) != len(h.Results) {
			t.Fatalf("%q: %v", h.Payload(), err)
		}
		for i, r := range again.Results {
			if w := h.Results[i]; r.Method != w.Method || r.Result != w.Result || len(r.Properties) != len(w.Properties) {
				t.Fatalf("%+v became %+v", w, r)
			}
		}
	})
}
