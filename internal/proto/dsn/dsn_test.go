package dsn

import (
	"strings"
	"testing"
)

// RFC 3464 appendix E, examples 1 and 2.
const example = `Reporting-MTA: dns; cs.utk.edu

Original-Recipient: rfc822;louisl@larry.slip.umd.edu
Final-Recipient: rfc822;louisl@larry.slip.umd.edu
Action: failed
Status: 4.0.0
Diagnostic-Code: smtp; 426 connection timed out
Last-Attempt-Date: Thu, 7 Jul 1994 17:15:49 -0400

Original-Recipient: rfc822;arathib@vnet.ibm.com
Final-Recipient: rfc822;arathib@vnet.ibm.com
Action: failed
Status: 5.0.0 (permanent failure)
Diagnostic-Code: smtp;
 550 'arathib@vnet.IBM.COM' is not a
 registered gateway user
Remote-MTA: dns; vnet.ibm.com
`

func TestParse(t *testing.T) {
	for _, text := range []string{example, strings.ReplaceAll(example, "\n", "\r\n"), "\n\n" + example + "\n\n"} {
		r, err := Parse(text)
		if err != nil || len(r.Recipients) != 2 {
			t.Fatalf("%+v %v", r, err)
		}
		for _, row := range []struct {
			group             Group
			name, kind, value string
		}{
			{r.Message, "reporting-mta", "dns", "cs.utk.edu"}, {r.Recipients[0], "Final-Recipient", "rfc822", "louisl@larry.slip.umd.edu"}, {r.Recipients[0], "STATUS", "", "4.0.0"},
			{r.Recipients[1], "Diagnostic-Code", "smtp", "550 'arathib@vnet.IBM.COM' is not a registered gateway user"}, {r.Recipients[1], "Action", "", "failed"},
			{r.Recipients[0], "Last-Attempt-Date", "", "Thu, 7 Jul 1994 17:15:49 -0400"},
		} {
			if f, ok := row.group.Get(row.name); !ok || f.Type != row.kind || f.Value != row.value {
				t.Errorf("%s: %+v", row.name, f)
			}
		}
	}
	if _, ok := Group(nil).Get("x"); ok {
		t.Error("field of nothing")
	}
	for in, want := range map[string]error{"": ErrMalformed, "\n\n": ErrMalformed, "no field\n": ErrMalformed, " x\n": ErrMalformed, strings.Repeat("a: b\n", 200): ErrTooLarge, strings.Repeat("a: b\n\n", 2000): ErrTooLarge, "a: b\nbad line\n": nil} {
		if _, err := Parse(in); err != want {
			t.Errorf("%.20q: %v", in, err)
		}
	}
}

func TestWrite(t *testing.T) {
	// As Exim writes it.
	report := Report{
		Message: Group{{Name: "Reporting-MTA", Type: "dns", Value: "myhost.test.ex"}},
		Recipients: []Group{{{Name: "Action", Value: "failed"}, {Name: "Final-Recipient", Type: "rfc822", Tight: true, Value: "userx@test.ex"}, {Name: "Status", Value: "5.0.0"},
			{Name: "Remote-MTA", Type: "dns", Value: "127.0.0.1"}, {Name: "Diagnostic-Code", Type: "smtp", Value: "450-one\r\n450 two\n"}}, {}},
	}
	want := "Reporting-MTA: dns; myhost.test.ex\n\nAction: failed\nFinal-Recipient: rfc822;userx@test.ex\nStatus: 5.0.0\nRemote-MTA: dns; 127.0.0.1\nDiagnostic-Code: smtp; 450-one\n 450 two\n\n"
	if got := string(report.AppendTo(nil)); got != want {
		t.Errorf("got %q", got)
	}
	for in, want := range map[string]string{"plain": "plain", "a\nb": "a\n b", "a\n\nb": "a\n b", "a\r\n\r\nAction: x": "a\n Action: x", "a\rb": "a\n b", "a\x00\x1bb\x7f": "a??b?", "a \n": "a", "\n\n": "", "a\tb\x01": "a\tb?", "é": "é"} {
		if got := SafeText(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestParameters(t *testing.T) {
	for in, want := range map[string]string{"NEVER": "NEVER", "success": "SUCCESS", "DELAY,FAILURE": "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY": "SUCCESS,FAILURE,DELAY", "NEVER,NEVER": "NEVER", "NEVER,DELAY": "!", "": "!", "SUCCESS,": "!", "x": "!"} {
		n, err := ParseNotify(in)
		got := n.String()
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("NOTIFY=%s: %s", in, got)
		}
	}
	for in, want := range map[string]string{"rfc822;Bob@Big-Bucks.COM": "rfc822 Bob@Big-Bucks.COM", "rfc822;a+2Bb@c": "rfc822 a+b@c", "utf-8;\\x{E5}@x": "utf-8 \\x{E5}@x", "rfc822": "!", ";a@b": "!", "rfc822;": "!", "rfc822;a+0A": "!", "rfc822;a=b": "!",
		"rfc822;" + strings.Repeat("x", 500): "!"} {
		kind, address, err := ParseOriginalRecipient(in)
		got := kind + " " + address
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("ORCPT=%.40s: %q", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example, "rfc822;a+2Bb")
	f.Fuzz(func(t *testing.T, s, parameter string) {
		ParseNotify(parameter)
		ParseOriginalRecipient(parameter)
		r, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(string(r.AppendTo(nil)))
		if err != nil || len(again.Recipients) != len(r.Recipients) || len(again.Message) != len(r.Message) {
			t.Errorf("%q: %+v is read as %+v, %v", s, r, again, err)
		}
	})
}
