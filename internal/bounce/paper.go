package bounce

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// paper is a report being written. Bodies of messages never enter it: they are streamed behind it.
type paper struct {
	bytes.Buffer
	boundary string
	report   *Report
	utf8     bool
}

func (w *Writer) newPaper(r Report) *paper {
	return &paper{boundary: fmt.Sprintf("%d-eximdsn-%d", w.World.Clock.Now().Unix(), w.World.Random.Intn(1<<31-1)), report: &r,
		utf8: r.Message.SMTPUTF8}
}

// header adds header lines that are complete but for a missing final newline.
func (p *paper) header(text string) {
	p.WriteString(text)
	if !strings.HasSuffix(text, "\n") {
		p.WriteString("\n")
	}
}

func (p *paper) failedRecipients() {
	sep := "X-Failed-Recipients: "
	any := false
	for i := len(p.report.Addresses) - 1; i >= 0; i-- {
		a := p.report.Addresses[i]
		if hidden(a) {
			continue
		}
		if a.Kind != mail.KindNormal && a.Parent != nil {
			a = a.Parent
		}
		p.WriteString(sep + clean(a.Address))
		sep, any = ",\n  ", true
	}
	if any {
		p.WriteString("\n")
	}
}

func (p *paper) addressing(w *Writer, r Report) {
	fmt.Fprintf(p, "From: %s\nTo: %s\n", w.from(r), clean(r.To))
	if w.Main.ErrorsReplyTo != "" {
		fmt.Fprintf(p, "Reply-To: %s\n", clean(w.Main.ErrorsReplyTo))
	}
	if id := mail.References(r.Message); id != "" {
		fmt.Fprintf(p, "References: %s\n", id)
	}
	fmt.Fprintf(p, "Content-Type: multipart/report; report-type=delivery-status; boundary=%s\nMIME-Version: 1.0\n", p.boundary)
}

// from is the expanded dsn_from.
func (w *Writer) from(r Report) string {
	v, err := w.Engine.Expand(r.Scope, string(w.Main.DSNFrom))
	if err != nil {
		w.Panic(r.Message.ID, fmt.Sprintf("Failed to expand dsn_from (using default): %v", err))
		v, err = w.Engine.Expand(r.Scope, "Mail Delivery System <Mailer-Daemon@$qualify_domain>")
		if err != nil {
			return "Mail Delivery System <Mailer-Daemon>"
		}
	}
	return clean(v.S)
}

func (p *paper) startText(m *mail.Message) {
	charset := "us-ascii"
	if p.utf8 {
		charset = "utf-8"
	}
	fmt.Fprintf(p, "\n--%s\nContent-type: text/plain; charset=%s\n\n", p.boundary, charset)
}

func (p *paper) failureIntroduction(w *Writer, r Report) {
	p.WriteString("This message was created automatically by mail delivery software.\n")
	if w.Main.BounceMessageText != "" {
		p.WriteString(strings.TrimRight(w.Main.BounceMessageText, "\n") + "\n")
	}
	if r.Message.Sender == r.To {
		p.WriteString("\nA message that you sent could not be delivered to one or more of its\n" +
			"recipients. This is a permanent error. The following address(es) failed:\n")
		return
	}
	fmt.Fprintf(p, "\nA message sent by\n\n  <%s>\n\ncould not be delivered to one or more of its recipients. The following\naddress(es) failed:\n", clean(r.Message.Sender))
}

func (p *paper) warningIntroduction(r Report, delay, host string) {
	p.WriteString("This message was created automatically by mail delivery software.\n")
	if r.Message.Sender == r.To {
		p.WriteString("A message that you sent has not yet been delivered to one or more of its\n")
	} else {
		fmt.Fprintf(p, "A message sent by\n\n  <%s>\n\nhas not yet been delivered to one or more of its\n", clean(r.Message.Sender))
	}
	fmt.Fprintf(p, "recipients after more than %s on the queue on %s.\n\n", delay, host)
	fmt.Fprintf(p, "The message identifier is:     %s\n", r.Message.ID)
	for _, h := range r.Message.Headers {
		if h.Type == '*' {
			continue
		}
		if h.Is("subject") {
			fmt.Fprintf(p, "The subject of the message is: %s\n", oneLine(h.Value()))
		} else if h.Is("date") {
			fmt.Fprintf(p, "The date of the message is:    %s\n", oneLine(h.Value()))
		}
	}
	if len(r.Addresses) > 1 {
		p.WriteString("\nThe addresses to which the message has not yet been delivered are:\n")
	} else {
		p.WriteString("\nThe address to which the message has not yet been delivered is:\n")
	}
}

const warningEnd = "No action is required on your part. Delivery attempts will continue for\n" +
	"some time, and this warning may be repeated at intervals if the message\n" +
	"remains undelivered. Eventually the mail delivery software will give up,\n" +
	"and when that happens, the message will be returned to you.\n"

// describe lists a failed address with its reason.
func (p *paper) describe(a *mail.Address) {
	fmt.Fprintf(p, "  %s\n", p.named(a, "    "))
	if h := a.Outcome.Host; h != nil {
		fmt.Fprintf(p, "  host %s [%s]\n", clean(h.Name), h.Address)
	}
	if text := reason(a); text != "" {
		p.WriteString("    " + text + "\n")
	}
}

func (p *paper) describeDelay(a *mail.Address) {
	fmt.Fprintf(p, "  %s\n", p.named(a, "    "))
	if h := a.Outcome.Host; h != nil {
		fmt.Fprintf(p, "  host %s [%s]\n", clean(h.Name), h.Address)
	}
	if text := reason(a); text != "" {
		p.WriteString("    Delay reason: " + text + "\n")
	}
}

// named is an address as a person reads it, with what it came from on a line of its own.
func (p *paper) named(a *mail.Address, indent string) string {
	top := topOf(a)
	switch {
	case hidden(a):
		return "an undisclosed address\n" + indent + "(generated from " + clean(top.Address) + ")"
	case a.Kind == mail.KindNormal && strings.EqualFold(a.Address, top.Address):
		return clean(a.Address)
	case a.Kind == mail.KindNormal:
		from := "generated from "
		if a.Parent != top {
			from = "ultimately generated from "
		}
		return clean(a.Address) + "\n" + indent + "(" + from + clean(top.Address) + ")"
	}
	return name(a) + "\n" + indent + "generated by " + clean(a.Parent.Address)
}

// name is the bare name of an address of any kind.
func name(a *mail.Address) string {
	switch a.Kind {
	case mail.KindPipe:
		return "pipe to " + clean(a.Address)
	case mail.KindFile:
		return "save to " + clean(a.Address)
	case mail.KindReply:
		return "autoreply to " + clean(strings.TrimPrefix(a.Address, ">"))
	}
	return clean(a.Address)
}

func topOf(a *mail.Address) *mail.Address {
	for a.Parent != nil {
		a = a.Parent
	}
	return a
}

func hidden(a *mail.Address) bool { return a.HideChild && a.Parent != nil }

// reason is the error text for people: broken behind a colon once a line is long, indented.
func reason(a *mail.Address) string {
	text := a.Outcome.UserMessage
	if text == "" && !a.Outcome.LogOnly {
		text = a.Outcome.Message
	}
	if text == "" && a.Outcome.Errno > 0 {
		text = errnoText(a.Outcome.Errno)
	}
	if text == "" {
		return ""
	}
	if hidden(a) && a.Kind != mail.KindNormal {
		return ""
	}
	var b strings.Builder
	column := 0
	text = strings.ReplaceAll(text, "\\n", "\n")
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\n':
			b.WriteString("\n    ")
			column = 0
			continue
		case c < ' ' && c != '\t' || c == 0x7f:
			b.WriteByte('?')
		default:
			b.WriteByte(c)
		}
		column++
		if c == ':' && column > 45 && i+1 < len(text) && text[i+1] == ' ' {
			b.WriteString("\n    ")
			column = 0
			i++
		}
	}
	return b.String()
}

func (p *paper) startStatus(w *Writer, r Report) {
	kind := "message/delivery-status"
	if p.utf8 {
		kind = "message/global-delivery-status"
	}
	fmt.Fprintf(p, "--%s\nContent-type: %s\n\nReporting-MTA: dns; %s\n", p.boundary, kind, w.Main.PrimaryHostname)
	if r.Message.EnvID != "" {
		fmt.Fprintf(p, "Original-Envelope-Id: %s\n", clean(r.Message.EnvID))
	}
	p.WriteString("\n")
}

// status writes the fields about one recipient (RFC 3464 section 2.3).
func (p *paper) status(w *Writer, a *mail.Address, action, status string) {
	if a.ORCPT != "" {
		fmt.Fprintf(p, "Original-Recipient: %s\n", clean(a.ORCPT))
	}
	if a.Outcome.Status != "" {
		status = a.Outcome.Status
	}
	top := a
	if hidden(a) || a.Kind != mail.KindNormal {
		top = topOf(a)
	}
	kind := "rfc822"
	if p.utf8 {
		kind = "utf-8"
	}
	fmt.Fprintf(p, "Action: %s\nFinal-Recipient: %s;%s\nStatus: %s\n", action, kind, clean(top.Address), status)
	if h := a.Outcome.Host; h != nil {
		fmt.Fprintf(p, "Remote-MTA: dns; %s\n", clean(h.Name))
	}
	for _, f := range w.Fields {
		if v := f.Value(a); v != "" {
			fmt.Fprintf(p, "%s: %s\n", f.Name, clean(v))
		}
	}
	if code := diagnostic(a); code != "" {
		code = strings.ReplaceAll(clean(code), "\\n", "\n ") // a reply of several lines is folded
		fmt.Fprintf(p, "Diagnostic-Code: smtp; %s\n", code)
	}
	p.WriteString("\n")
}

// diagnostic is the remote server's reply, from the first group of three digits of the outcome's text on.
func diagnostic(a *mail.Address) string {
	if a.Outcome.Diagnosis != "" {
		return a.Outcome.Diagnosis
	}
	text := a.Outcome.Message
	if !strings.Contains(text, "SMTP error") && !strings.Contains(text, "LMTP error") {
		return ""
	}
	for i := strings.Index(text, ": "); i >= 0; {
		rest := text[i+2:]
		if len(rest) > 3 && strings.ContainsRune("245", rune(rest[0])) && isDigit(rest[1]) && isDigit(rest[2]) {
			return rest
		}
		j := strings.Index(rest, ": ")
		if j < 0 {
			break
		}
		i += 2 + j
	}
	return ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// what of the original message a report returns.
type returns int

const (
	returnNothing returns = iota
	returnHeaders
	returnLimited // the headers, as a limit forbids more
	returnAll
)

// returned decides how much of the message a bounce carries (spec 14, bounce_return_*; RFC 3461 RET).
func (w *Writer) returned(r Report) returns {
	m := w.Main
	switch {
	case !m.BounceReturnMessage:
		return returnNothing
	case r.Message.Ret == "HDRS" || !m.BounceReturnBody:
		return returnHeaders
	case m.BounceReturnSizeLimit > 0 && r.Message.Size > int64(m.BounceReturnSizeLimit),
		m.BounceReturnLineSizeLimit > 0 && r.Message.MaxReceivedLine > m.BounceReturnLineSizeLimit:
		return returnLimited
	}
	return returnAll
}

// send streams the report: what is written, text of pipes, and what is returned of the message.
func (w *Writer) send(ctx context.Context, r Report, p *paper, what returns, output []output, items template, copies ...string) error {
	parts := []io.Reader{}
	if len(output) > 0 {
		text, status := splitStatus(p)
		parts = append(parts, strings.NewReader(text), outputReader(p, output, items), strings.NewReader(status))
	} else {
		parts = append(parts, strings.NewReader(p.String()))
	}
	if what != returnNothing {
		parts = append(parts, strings.NewReader(p.copyStart(r, what)))
		if what == returnAll && r.Body != nil {
			parts = append(parts, io.NewSectionReader(r.Body, 0, r.BodySize))
		}
		parts = append(parts, strings.NewReader("\n"))
	}
	parts = append(parts, strings.NewReader("--"+p.boundary+"--\n"))
	return w.Submit(ctx, append([]string{r.To}, copies...), r.Message, io.MultiReader(parts...))
}

// copyStart is the beginning of the returned part, with the message's header section.
func (p *paper) copyStart(r Report, what returns) string {
	kind, headers := "message/rfc822", "text/rfc822-headers"
	if p.utf8 {
		kind, headers = "message/global", "message/global-headers"
	}
	if what != returnAll {
		kind = headers
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--%s\nContent-type: %s\n\nReturn-path: <%s>\n", p.boundary, kind, clean(r.Message.Sender))
	for _, h := range r.Message.Headers {
		if h.Type != '*' {
			b.WriteString(h.Text)
		}
	}
	if what == returnLimited {
		b.WriteString("X-Exim-DSN-Information: Due to administrative limits only headers are returned\n")
	}
	b.WriteString("\n")
	return b.String()
}

// clean makes text safe for a header line or a field: one line, no control characters.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

func oneLine(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

// template is a message file of spec 50: its items, expanded.
type template []string

func (t template) get(i int) (string, bool) {
	if i >= len(t) || t[i] == "" {
		return "", false
	}
	return t[i], true
}

func (t template) or(i int, otherwise string) string {
	if s, ok := t.get(i); ok {
		return s
	}
	return otherwise
}

// template reads and expands a message file. What cannot be used is reported in the panic log, and the default serves.
func (w *Writer) template(r Report, kind, path string, extra map[string]mail.Value) template {
	if path == "" {
		return nil
	}
	if r.Scope.Extra == nil {
		r.Scope.Extra = map[string]expand.Value{}
	}
	for k, v := range extra {
		r.Scope.Extra[k] = v
	}
	name, err := w.Engine.Expand(r.Scope, path)
	complain := func(format string, args ...any) template {
		w.Panic(r.Message.ID, fmt.Sprintf(format, args...))
		return nil
	}
	switch {
	case err != nil, name.S == "":
		return complain("Failed to expand %s_message_file: '%s'\n", kind, path)
	case !strings.HasPrefix(name.S, "/"):
		return complain("%s_message_file is not absolute after expansion: '%s'\n", kind, name.S)
	case r.Scope.Untrusted(name, "%s_message_file is not untainted after expansion: '%s'", kind, name.S):
		return complain("%s_message_file is not untainted after expansion: '%s'\n", kind, name.S)
	}
	data, err := os.ReadFile(name.S)
	if err != nil {
		what := map[string]string{"bounce": "error", "warn": "warning"}[kind]
		return complain("Failed to open %s for %s message texts: %v", name.S, what, osText(err))
	}
	var items template
	for _, text := range strings.Split("\n"+string(data), "\n****\n") {
		text = strings.TrimPrefix(text, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		v, err := w.Engine.Expand(r.Scope, text)
		if err != nil {
			w.Panic(r.Message.ID, fmt.Sprintf("Failed to expand %s message text: %v", kind, err))
		}
		items = append(items, v.S)
	}
	return items
}
