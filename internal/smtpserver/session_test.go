package smtpserver

import (
	"context"
	"slices"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
)

const ehloCaller = `250-host.test Hello CALLER at a.b.c
250-SIZE 52428800
250-8BITMIME
250-PIPELINING
250 HELP
`

// dialogues are sessions on standard input and output: what Exim's own tests expect of the same input.
var dialogues = []struct {
	name, selectors string
	set             func(m *config.Main)
	input           string
	output, log     string
}{
	{name: "syntax errors", selectors: "+smtp_syntax_error +smtp_protocol_error", set: func(m *config.Main) {
		m.ACLSMTPETRN, m.RecipientsMax, m.SMTPMaxSynProtErrors = "accept", "5", 1000
	}, input: `
etrn abc
ehlo a.b.c
rcpt to:<a@b>
mail from:<x@y>
data
rcpt to:<a@b>
rcpt to:<a@b>
rcpt to:<a@b>
rcpt to:<a@b>
rcpt to:<a@b>
rcpt to:<a@b>
rcpt to:<a@b>
etrn #abc
rset
mail from:
rset
mail from:<x@y>
mail from:<x@y>
rcpt to:
rset
quit
`, output: banner + `501 argument must begin with #
250-host.test Hello CALLER at a.b.c
250-SIZE 52428800
250-8BITMIME
250-ETRN
250-PIPELINING
250 HELP
503 sender not yet given
250 OK
503 valid RCPT command must precede DATA
550 Administrative prohibition
550 Administrative prohibition
550 Administrative prohibition
550 Administrative prohibition
550 Administrative prohibition
452 too many recipients
452 too many recipients
503 ETRN is not permitted inside a transaction
250 Reset OK
501 MAIL must have an address operand
250 Reset OK
250 OK
503 sender already given
501 RCPT must have an address operand
250 Reset OK
221 host.test closing connection
`, log: `
ETRN abc received from CALLER
SMTP syntax error in "etrn abc" U=CALLER argument must begin with #
SMTP protocol error in "rcpt to:<a@b>" U=CALLER sender not yet given
SMTP protocol error in "data" U=CALLER valid RCPT command must precede DATA
R:U=CALLER F=<x@y> rejected RCPT <a@b>
R:U=CALLER F=<x@y> rejected RCPT <a@b>
R:U=CALLER F=<x@y> rejected RCPT <a@b>
R:U=CALLER F=<x@y> rejected RCPT <a@b>
R:U=CALLER F=<x@y> rejected RCPT <a@b>
R:too many recipients: excess temporarily rejected: sender=<x@y> U=CALLER
SMTP protocol error in "etrn #abc" U=CALLER ETRN is not permitted inside a transaction
SMTP protocol error in "mail from:" U=CALLER MAIL must have an address operand
SMTP protocol error in "mail from:<x@y>" U=CALLER sender already given
SMTP syntax error in "rcpt to:" U=CALLER RCPT must have an address operand
`},
	{name: "names", selectors: "+smtp_syntax_error", set: func(m *config.Main) { m.SMTPMaxSynProtErrors = 1000 }, input: `
helo !@#$%^&*(
debug
rhubarb
mail
quit
`, output: banner + `501 Syntactically invalid HELO argument(s)
500 unrecognized command
500 unrecognized command
500 unrecognized command
221 host.test closing connection
`, log: `
R:rejected HELO from CALLER: syntactically invalid argument(s): !@#$%^&*(
SMTP syntax error in "debug" U=CALLER unrecognized command
SMTP syntax error in "rhubarb" U=CALLER unrecognized command
SMTP syntax error in "mail" U=CALLER unrecognized command
`},
	{name: "unknown commands", input: "one\ntwo\nthree\nfour\nfive\n", output: banner + `500 unrecognized command
500 unrecognized command
500 unrecognized command
500 Too many unrecognized commands
`, log: "R:SMTP call from CALLER dropped: too many unrecognized commands (last was \"four\")\n"},
	{name: "nonmail RSET", set: nonmail3, input: "rset\nrset\nrset\nrset\nrset\n", output: banner + `250 Reset OK
250 Reset OK
250 Reset OK
250 Reset OK
554 Too many nonmail commands
`, log: "R:SMTP call from CALLER dropped: too many nonmail commands (last was \"rset\")\n"},
	{name: "nonmail EHLO", set: nonmail3, input: strings.Repeat("ehlo a.b.c\n", 5), output: banner + strings.Repeat(ehloCaller, 4) + "554 Too many nonmail commands\n",
		log: "R:SMTP call from CALLER dropped: too many nonmail commands (last was \"ehlo\")\n"},
	{name: "nonmail NOOP", set: nonmail3, input: "noop\nnoop\nnoop\nnoop\n", output: banner + "250 OK\n250 OK\n250 OK\n554 Too many nonmail commands\n",
		log: "R:SMTP call from CALLER dropped: too many nonmail commands (last was \"noop\")\n"},
	{name: "RSET between messages", set: nonmail3, input: "helo test\nrset\n" + strings.Repeat("mail from:<x@y>\nrcpt to:<x@y>\ndata\n.\nrset\n", 4) + "quit\n",
		output: banner + "250 host.test Hello CALLER at test\n250 Reset OK\n" + strings.Repeat("250 OK\n250 Accepted\n354 Enter message, ending with \".\" on a line by itself\n250 OK id=ID1\n250 Reset OK\n", 4) +
			"221 host.test closing connection\n"},
	{name: "synprot HELO", input: "helo\nhelo\nhelo\nhelo\nhelo\n", output: banner + strings.Repeat("501 Syntactically invalid HELO argument(s)\n", 4),
		log: strings.Repeat("R:rejected HELO from CALLER: syntactically invalid argument(s): (no argument given)\n", 4) +
			"R:SMTP call from CALLER dropped: too many syntax or protocol errors (last command was \"helo\",  C=HELO,HELO,HELO,HELO)\n"},
	{name: "synprot MAIL", set: func(m *config.Main) { m.SMTPMaxSynProtErrors = 1 }, input: "helo test\nmail from:<>\nmail from:<>\nmail from:<>\n",
		output: banner + `250 host.test Hello CALLER at test
250 OK
503 sender already given
503-sender already given
503 Too many syntax or protocol errors
`, log: "R:SMTP call from CALLER dropped: too many syntax or protocol errors (last command was \"mail from:<>\",  C=HELO,MAIL,MAIL,MAIL)\n"},
	{name: "synprot RCPT", input: "helo xxxx\nmail from:<>\n" + strings.Repeat("rcpt to:<bad syntax@x.y.z>\n", 5), output: banner + `250 host.test Hello CALLER at xxxx
250 OK
501 <bad syntax@x.y.z>: "@" or "." expected after "bad"
501 <bad syntax@x.y.z>: "@" or "." expected after "bad"
501 <bad syntax@x.y.z>: "@" or "." expected after "bad"
501-<bad syntax@x.y.z>: "@" or "." expected after "bad"
501 Too many syntax or protocol errors
`, log: "R:SMTP call from CALLER dropped: too many syntax or protocol errors (last command was \"rcpt to:<bad syntax@x.y.z>\",  C=HELO,MAIL,RCPT,RCPT,RCPT,RCPT)\n"},
	{name: "no mail", selectors: "+smtp_no_mail", input: "EXPN x@y\nQUIT\n", output: banner + "550 Administrative prohibition\n221 host.test closing connection\n",
		log: "R:U=CALLER rejected EXPN x@y\nno MAIL in SMTP connection from CALLER D=0s C=EXPN,QUIT\n"},
	{name: "HELP", input: "HELP\nQUIT\n", output: banner + "214-Commands supported:\n214 AUTH HELO EHLO MAIL RCPT DATA BDAT NOOP QUIT RSET HELP\n221 host.test closing connection\n"},
	{name: "refused HELO", set: func(m *config.Main) {
		m.HostsRequireHELO, m.ACLSMTPHELO, m.ACLSMTPMail = "", "deny testing deny", "deny testing deny"
	},
		input: "HELO a.b.c.d\nMAIL FROM:<x@y>\nquit\n", output: banner + "550 testing deny\n550 testing deny\n221 host.test closing connection\n",
		log: "R:U=CALLER rejected EHLO or HELO a.b.c.d: testing deny\nR:U=CALLER rejected MAIL <x@y>: testing deny\n"},
	{name: "HELO required", input: "MAIL FROM:<x@y>\nquit\n", output: banner + "503 HELO or EHLO required\n221 host.test closing connection\n",
		log: "R:rejected MAIL from CALLER: no HELO/EHLO given\n"},
	{name: "connect ACL", set: func(m *config.Main) { m.ACLSMTPConnect = "deny testing,testing" }, input: "quit\n", output: "550 testing,testing\n",
		log: "R:U=CALLER rejected connection in \"connect\" ACL: testing,testing\n"},
	{name: "arguments", selectors: "+smtp_syntax_error", set: func(m *config.Main) { m.SMTPMaxSynProtErrors = 9 }, input: "rset x\ndata x\nquit x\nnoop x\nnoopx\n",
		output: banner + "501 unexpected argument data\n501 unexpected argument data\n501 unexpected argument data\n250 OK\n500 unrecognized command\n421 host.test lost input connection\n",
		log: `
SMTP syntax error in "rset x" U=CALLER unexpected argument data
SMTP syntax error in "data x" U=CALLER unexpected argument data
SMTP syntax error in "quit x" U=CALLER unexpected argument data
SMTP syntax error in "noopx" U=CALLER unrecognized command
`},
	{name: "no input", input: "", output: banner + "421 host.test lost input connection\n"},
	{name: "NUL", selectors: "+smtp_syntax_error", input: "no\x00op\nquit\n", output: banner + "501 NUL characters are not allowed in SMTP commands\n221 host.test closing connection\n",
		log: "SMTP syntax error in \"no?op\" U=CALLER NUL character(s) present (shown as '?')\n"},
	{name: "incomplete", selectors: "+smtp_incomplete_transaction", input: "helo x\nmail from:<a@b>\nrset\nmail from:<a@b>\nquit\n",
		output: banner + "250 host.test Hello CALLER at x\n250 OK\n250 Reset OK\n250 OK\n221 host.test closing connection\n",
		log:    "U=CALLER incomplete transaction (RSET) from <a@b>\nU=CALLER incomplete transaction (QUIT) from <a@b>\n"},
	{name: "unqualified", input: "helo x\nmail from:<a>\nmail from:<a@b>\nrcpt to:<x>\nrcpt to:<postmaster>\nquit\n",
		output: banner + "250 host.test Hello CALLER at x\n501 <a>: sender address must contain a domain\n250 OK\n501 <x>: recipient address must contain a domain\n550 Administrative prohibition\n221 host.test closing connection\n",
		log: `
R:unqualified sender rejected: <a> U=CALLER
R:unqualified recipient rejected: <x> U=CALLER
R:U=CALLER F=<a@b> rejected RCPT <postmaster>
`},
	{name: "discard", set: func(m *config.Main) { m.ACLSMTPRcpt = "discard" }, input: "helo x\nmail from:<a@b>\nrcpt to:<x@y>\ndata\n\nx\n.\nquit\n",
		output: banner + "250 host.test Hello CALLER at x\n250 OK\n250 Accepted\n354 Enter message, ending with \".\" on a line by itself\n250 OK id=ID1\n221 host.test closing connection\n",
		log:    "R:U=CALLER F=<a@b> RCPT <x@y>: discarded by RCPT ACL\n"},
	{name: "drop", set: func(m *config.Main) { m.ACLSMTPRcpt = "drop 550 5.7.1 go away" }, input: "helo x\nmail from:<a@b>\nrcpt to:<x@y>\nnoop\n",
		output: banner + "250 host.test Hello CALLER at x\n250 OK\n550 5.7.1 go away\n", log: "R:U=CALLER F=<a@b> rejected RCPT <x@y>: 550 5.7.1 go away\n"},
	{name: "max per connection", set: func(m *config.Main) { m.SMTPAcceptMaxPerConnection = "1" }, input: "helo x\nmail from:<a@b>\nrset\nmail from:<a@b>\n",
		output: banner + "250 host.test Hello CALLER at x\n250 OK\n250 Reset OK\n421 too many messages in this connection\n421 host.test lost input connection\n",
		log:    "R:rejected MAIL command U=CALLER: too many messages in one connection\n"},
}

func nonmail3(m *config.Main) {
	m.SMTPAcceptMaxNonMail, m.ACLSMTPRcpt, m.SMTPMaxSynProtErrors = 3, "accept", 20
}

func TestDialogues(t *testing.T) {
	for _, c := range dialogues {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.selectors)
			if c.set != nil {
				c.set(f.main)
			}
			check(t, "output", f.local(c.input), c.output)
			check(t, "log", f.logged(), c.log)
		})
	}
}

// TestOnwardDrop: a connection onward ends with its transaction, but a message that was accepted is not looked at any more: somebody delivers it.
func TestOnwardDrop(t *testing.T) {
	f := newFixture(t, "")
	var dropped []string
	f.svc.Onward = &Onward{Settle: func(*mail.Message) {}, Drop: func(m *mail.Message) { dropped = append(dropped, m.Sender) },
		Recipient: func(context.Context, *expand.Scope, *mail.Recipient) acl.Outcome { return acl.Outcome{} }}
	f.main.ACLSMTPRcpt = "accept"
	f.local("HELO a\nMAIL FROM:<one@a.test>\nRCPT TO:<b@b.test>\nDATA\nx: y\n\nz\n.\nMAIL FROM:<two@a.test>\nRCPT TO:<b@b.test>\nRSET\nMAIL FROM:<three@a.test>\nQUIT\n")
	got := strings.Join(slices.DeleteFunc(dropped, func(s string) bool { return s == "" }), " ")
	if got != "two@a.test three@a.test" || len(f.received) != 1 {
		t.Errorf("dropped %q, received %q", got, f.received)
	}
}
