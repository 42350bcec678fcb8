package contentregex

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/regex"
	"exigo/internal/scan"
	"exigo/internal/scan/scantest"
)

// TestLines has Exim's answers: what the expression is, what matched, $regex1, and what is logged.
func TestLines(t *testing.T) {
	b := scantest.New(t, Feature(), "")
	warning := "main: regex acl condition warning - error in regex "
	for _, x := range [][4]string{
		{"second (l..)", "second (l..)", "lin", ""}, {"nomatch"}, {"Second"}, {"(?i)SECOND", "(?i)SECOND", "", ""}, {"line : From (M)", "From (M)", "M", ""},
		{"x-none : ((s)(e)(c))", "((s)(e)(c))", "sec", ""}, {"^From MAILER-DAEMON", "^From MAILER-DAEMON", "", ""}, {"^X-Envelope-To(::) (.*)", "^X-Envelope-To(:) (.*)", ":", ""},
		{"^[[::space::]](b)", "^[[:space:]](b)", "b", ""}, {"a.*b", "a.*b", "", ""}, {"Subject.*b"}, {"^[.]", "^[.]", "", ""}, {"Bcc"}, {""}, {"$acl_m_none"},
		{"<; zzz ; last|first", "last|first", "", ""}, {"[", "", "", warning + "'[': missing terminating ] for character class at offset 1, skipped."},
		{"[ : line", "line", "", warning + "'[': missing terminating ] for character class at offset 1, skipped."},
		{"a{999999}", "", "", warning + "'a{999999}': number too big in {} quantifier at offset 7, skipped."},
	} {
		want := acl.Fail
		if x[1] != "" {
			want = acl.OK
		}
		if o := b.Run("accept regex = " + x[0]); o.Verdict != want {
			t.Errorf("%s: %+v", x[0], o)
		}
		if got := b.Expand("$regex_match_string|$regex1"); got != x[1]+"|"+x[2] || b.TakeLog() != x[3] {
			t.Errorf("%s: %s", x[0], got)
		}
	}
	b.Run("accept regex = ((((((((((f)i)r)s)t) )l)i)n)e)")
	if got := b.Expand("$regex1|$regex2|$regex9"); got != "first line|first lin|fi" {
		t.Error(got)
	}
	for _, phase := range []acl.Phase{acl.Rcpt, acl.DKIM, acl.Predata} {
		if o := b.RunIn(phase, "accept regex = x"); o.Verdict != acl.Error || o.LogMessage != "cannot test regex condition in "+phase.String()+" ACL" {
			t.Errorf("%v: %+v", phase, o)
		}
	}
	if o := b.Run("accept mime_regex = x"); o.Verdict != acl.Error || o.LogMessage != "cannot test mime_regex condition in DATA ACL" {
		t.Errorf("%+v", o)
	}
	if o := b.Run("accept regex = ^\\\\N(((((line)+)+)+)+)+\\\\NX|x"); o.Verdict == acl.Error {
		t.Errorf("%+v", o)
	}
}

// TestParts: MIME parts, as they came and decoded.
func TestParts(t *testing.T) {
	b := scantest.New(t, Feature(), "")
	file, decoded := b.Dir+"/part", 0
	os.WriteFile(file, []byte("foo bar\nbaz"+strings.Repeat(" ", maxDecoded-14)+"end"+"beyond"), 0o600)
	var failure error
	part := &scan.Part{Raw: func() io.Reader { return strings.NewReader("Zm9vIGJhcg==\nline") }, Decoded: func() (string, error) {
		decoded++
		return file, failure
	}}
	scan.SetPart(b.Message, part)
	for _, x := range []struct{ condition, pattern, first string }{
		{"regex = Zm9", "Zm9", ""}, {"regex = ^(l)", "^(l)", "l"}, {"regex = foo", "", ""}, {"regex = ^From", "", ""},
		{"mime_regex = (b.*)", "(b.*)", "bar"}, {"mime_regex = bar.baz", "", ""}, {"mime_regex = (?s)(bar.baz)", "(?s)(bar.baz)", "bar\nbaz"}, {"mime_regex = (?m)^baz", "(?m)^baz", ""},
		{"mime_regex = en(d)", "en(d)", "d"}, {"mime_regex = beyond", "", ""},
	} {
		o := b.RunIn(acl.MIME, "accept "+x.condition)
		if got := b.Expand("$regex_match_string|$regex1"); (o.Verdict == acl.OK) != (x.pattern != "") || got != x.pattern+"|"+x.first {
			t.Errorf("%s: %+v %q", x.condition, o, got)
		}
	}
	if decoded != 6 {
		t.Error(decoded)
	}
	if o := b.RunIn(acl.MIME, "accept mime_regex = ["); o.Verdict != acl.Fail || decoded != 6 {
		t.Errorf("%+v", o)
	}
	b.TakeLog()
	failure = errors.New("too big")
	if o := b.RunIn(acl.MIME, "accept mime_regex = x"); o.Verdict != acl.Defer || o.LogMessage != "mime_regex acl condition: too big" {
		t.Errorf("%+v", o)
	}
	failure, file = nil, "/nonexistent"
	if o := b.RunIn(acl.NotSMTPMIME, "accept mime_regex = x"); o.Verdict != acl.Defer || !strings.HasPrefix(b.TakeLog(), "panic: mime_regex acl condition warning - can't open '/nonexistent' for reading: ") {
		t.Errorf("%+v", o)
	}
	// In the ACL for DATA the part no longer counts, and mime_regex has none.
	if o := b.Run("accept regex = Zm9"); o.Verdict != acl.Fail {
		t.Errorf("%+v", o)
	}
	scan.SetPart(b.Message, nil)
	if o := b.RunIn(acl.MIME, "accept mime_regex = x"); o.Verdict != acl.Fail {
		t.Errorf("%+v", o)
	}
}

// TestLongLines: a line is looked at in pieces of 32766 bytes, as with Exim.
func TestLongLines(t *testing.T) {
	re, err := regex.Compile("^foo$", 0)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]bool{0: true, 1: false, maxLine - 1: false, maxLine: true, maxLine + 1: false, 2 * maxLine: true} {
		var st state
		got, err := st.lines([]*regex.Regexp{re}, strings.NewReader("x\n"+strings.Repeat("a", n)+"foo\nz\n"), false)
		if got != want || err != nil {
			t.Errorf("%d: %v %v", n, got, err)
		}
	}
	var st state
	if _, err := st.lines([]*regex.Regexp{re}, io.MultiReader(strings.NewReader("x"), failing{}), false); err == nil {
		t.Error("an error was not told")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk") }

// TestMemory: a long message takes no more memory than a short one.
func TestMemory(t *testing.T) {
	var list []*regex.Regexp
	for _, pattern := range []string{"mortgage", `(?i)offer \d+`, "^x.*y$"} {
		re, err := regex.Compile(pattern, 0)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, re)
	}
	run := func(lines int) float64 {
		text := strings.Repeat("A line of the body of a message that is neither short nor long.\n", lines)
		return testing.AllocsPerRun(5, func() {
			var st state
			if found, err := st.lines(list, strings.NewReader(text), false); found || err != nil {
				t.Fatal(found, err)
			}
		})
	}
	if short, long := run(10), run(10000); long > short+20 {
		t.Errorf("%v allocations for a short message, %v for a long one", short, long)
	}
}
