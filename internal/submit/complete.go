package submit

import (
	"bytes"
	"strconv"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/mail"
	"exigo/internal/proto/address"
	"exigo/internal/proto/header"
	"exigo/internal/rewrite"
)

func itoa(n int) string { return strconv.Itoa(n) }

func indexNewline(p []byte) int { return bytes.IndexByte(p, '\n') }

// complete does everything that can be done when the header section is there: removes, repairs, rewrites and adds lines.
func (x *reception) complete() bool {
	x.m.ID = x.r.s.Spool.NewID(x.r.now(), x.r.s.World.PID)
	x.result.ID = x.m.ID
	x.findResent()
	x.removeLines()
	if x.in.Extract && !x.extract() {
		return false
	}
	if !x.in.Extract && !x.in.Probe && len(x.m.Recipients) == 0 && x.in.Discarded == "" {
		return x.fail(Failure{Kind: NoRecipients}, "")
	}
	x.rewriteSender()
	x.ownFrom()
	x.addMissing()
	x.rewriteAll()
	x.addDate()
	if !x.in.Probe {
		x.addReceived()
	}
	x.applyPending()
	return true
}

// resentFields are the fields that say that a message was sent again (RFC 5322 section 3.6.6).
var resentFields = map[string]bool{"resent-date": true, "resent-from": true, "resent-sender": true, "resent-to": true, "resent-cc": true,
	"resent-bcc": true, "resent-message-id": true, "resent-reply-to": true}

// findResent looks for Resent- lines and gives those with addresses the letters of the lines they stand for.
func (x *reception) findResent() {
	for i := range x.m.Headers {
		h := &x.m.Headers[i]
		if len(h.Text) < 8 || !strings.EqualFold(h.Text[:7], "resent-") {
			continue
		}
		name := strings.ToLower(h.Name())
		if !resentFields[name] {
			continue
		}
		x.resent = true
		h.Type = mail.TypeFor(name[7:])
	}
}

// prefix stands before the names of lines that are added to a message that was sent again.
func (x *reception) prefix() string {
	if x.resent {
		return "Resent-"
	}
	return ""
}

// isOurs tells whether a line is the one of the name that concerns us: the Resent- one in a message that was sent again.
func (x *reception) isOurs(h mail.Header, name string) bool {
	return h.Type != '*' && h.Is(x.prefix()+name)
}

func (x *reception) has(name string) bool {
	for _, h := range x.m.Headers {
		if x.isOurs(h, name) {
			return true
		}
	}
	return false
}

// removeLines takes lines out that belong to a message at rest (spec 48.9, 48.10, 48.15), and Sender: where it is not believed.
func (x *reception) removeLines() {
	main := x.r.s.Main
	for i := range x.m.Headers {
		h := &x.m.Headers[i]
		switch {
		case main.ReturnPathRemove && h.Is("return-path"),
			main.EnvelopeToRemove && h.Is("envelope-to"),
			main.DeliveryDateRemove && h.Is("delivery-date"):
			h.Type = '*'
		case h.Type == 'S' && x.dropsSender():
			h.Type = '*'
		}
	}
}

// dropsSender tells whether Sender: lines are removed (spec 48.16).
func (x *reception) dropsSender() bool {
	c := &x.m.Controls
	if c.Submission {
		return !c.SenderRetain
	}
	return x.local() && !x.m.Session.Trusted && !x.r.s.Main.LocalSenderRetain && !c.SuppressLocalFixups
}

// fixes tells whether lines that are missing are added: for local messages and in submission mode.
func (x *reception) fixes() bool {
	return x.m.Controls.Submission || x.local() && !x.m.Controls.SuppressLocalFixups
}

// addressOptions are those with which addresses in header lines are read.
func (r *Receiver) addressOptions() address.Options {
	m := r.s.Main
	return address.Options{AllowNull: true, AllowLiterals: m.AllowDomainLiterals, StripTrailingDot: m.StripTrailingDot,
		StripExcessAngles: m.StripExcessAngleBrackets, AllowUTF8: m.AllowUTF8Domains}
}

// extract takes the recipients from To:, Cc: and Bcc:, or their Resent- forms (-t). Bcc: goes.
func (x *reception) extract() bool {
	onCommandLine := make(map[string]bool)
	seen := make(map[string]bool)
	for _, a := range x.in.Arguments {
		a = strings.ToLower(x.qualifyRecipient(a))
		onCommandLine[a] = true
	}
	remove := x.r.s.Main.ExtractAddressesRemoveArguments
	for i := range x.m.Headers {
		h := &x.m.Headers[i]
		if !x.isOurs(*h, "to") && !x.isOurs(*h, "cc") && !x.isOurs(*h, "bcc") {
			continue
		}
		value := h.Value()
		items := address.NewList(value, x.r.addressOptions())
		for {
			item, ok := items.Next()
			if !ok {
				break
			}
			switch {
			case item.Err != nil:
				x.bad = append(x.bad, BadAddress{Text: strings.TrimRight(value[item.Offset:], " \t\n"), Reason: item.Err.Error()})
			case item.Mailbox.Address != "":
				x.extracted(item.Mailbox, onCommandLine, seen, remove)
			}
		}
		if h.Type == 'B' {
			h.Type = '*'
		}
	}
	if !remove {
		for _, a := range x.in.Arguments {
			if full := x.qualifyRecipient(a); !seen[strings.ToLower(full)] {
				x.addRecipient(full)
			}
		}
	}
	return x.extractedAll()
}

func (x *reception) extracted(m address.Mailbox, onCommandLine, seen map[string]bool, remove bool) {
	full := m.Address
	if m.Domain == 0 {
		if !x.m.AllowUnqualifiedRecipient {
			x.bad = append(x.bad, BadAddress{Text: full, Reason: "unqualified recipient address not allowed"})
			return
		}
		full = x.qualifyRecipient(full)
	}
	key := strings.ToLower(full)
	if remove && onCommandLine[key] {
		x.suppressed = true
		return
	}
	if !seen[key] {
		seen[key] = true
		x.addRecipient(full)
	}
}

func (x *reception) addRecipient(a string) {
	x.m.Recipients = append(x.m.Recipients, mail.Recipient{Address: a, Parent: -1})
}

// extractedAll looks at what -t found.
func (x *reception) extractedAll() bool {
	if len(x.m.Recipients) > 0 && len(x.bad) == 0 {
		return true
	}
	what := "no recipients"
	if len(x.bad) > 0 {
		what = "bad addresses"
	}
	x.addMissing()
	x.addDate()
	x.log(eventlog.Main|eventlog.Panic, x.m.ID+" "+what+" found in headers", false)
	switch {
	case len(x.m.Recipients) > 0:
		x.result.Ignored = x.bad
		return true
	case len(x.bad) > 0:
		return x.fail(Failure{Kind: BadRecipients, Addresses: x.bad}, "")
	case x.suppressed:
		return x.fail(Failure{Kind: AllSuppressed}, "")
	}
	return x.fail(Failure{Kind: NoRecipients}, "")
}

func (x *reception) qualifyRecipient(a string) string {
	main := x.r.s.Main
	if strings.Contains(a, "@") {
		return a
	}
	if main.QualifyRecipient != "" {
		return a + "@" + main.QualifyRecipient
	}
	return a + "@" + main.QualifyDomain
}

// rewriteSender rewrites the envelope sender, unless a verification has done so.
func (x *reception) rewriteSender() {
	if x.m.Sender == "" || acl.SenderRewritten(x.m) {
		return
	}
	x.m.Sender = x.r.s.Rewriter.Address(x.s, x.m.Sender, true)
}

// rewriteAll rewrites recipients and the addresses in header lines (spec 31.2).
func (x *reception) rewriteAll() {
	w := x.r.s.Rewriter
	if w.Rules.Any(rewrite.EnvelopeTo) {
		for i := range x.m.Recipients {
			rcpt := &x.m.Recipients[i]
			if rcpt.Given == "" {
				rcpt.Given = rcpt.Address
			}
			rcpt.Address = w.Address(x.s, rcpt.Address, false)
		}
	}
	x.m.Headers = w.Headers(x.s, x.m.Headers, rewrite.HeaderOptions{QualifySender: x.m.AllowUnqualifiedSender, QualifyRecipient: x.m.AllowUnqualifiedRecipient,
		Check: true})
}

// addDate adds a Date: line: at the end, or before all others in a message that was sent again.
func (x *reception) addDate() {
	if !x.fixes() || x.has("date") {
		return
	}
	h := mail.NewHeader(x.prefix() + "Date: " + header.FormatDate(x.m.Received) + "\n")
	if x.resent {
		x.m.Headers = append([]mail.Header{h}, x.m.Headers...)
		return
	}
	x.m.Headers = append(x.m.Headers, h)
}

// fromLines takes "From " lines off the start of a message (spec 48.4). It returns the first line that is none.
func (x *reception) fromLines() ([]byte, error) {
	main := x.r.s.Main
	for {
		line, err := x.in.Source.ReadSlice('\n')
		if len(line) == 0 {
			return nil, err
		}
		if err != nil || !bytes.HasPrefix(line, []byte("From ")) {
			return append([]byte(nil), line...), err
		}
		ok, matchErr := x.s.Match(main.UUCPFromPattern, mail.Taint(string(line)), 0)
		if matchErr != nil || !ok {
			return append([]byte(nil), line...), err
		}
		if x.in.TrustFromLine {
			x.fromLineSender()
		}
	}
}

// fromLineSender takes the sender of a "From " line.
func (x *reception) fromLineSender() {
	main := x.r.s.Main
	v, err := x.r.s.Engine.Expand(x.s, string(main.UUCPFromSender))
	if err != nil {
		x.log(eventlog.Main|eventlog.Panic, "expansion of \""+string(main.UUCPFromSender)+"\" failed after matching \"From \" line: "+err.Error(), false)
		return
	}
	o := x.r.addressOptions()
	m, extractErr := address.Extract(v.S, o)
	if extractErr != nil {
		return
	}
	x.m.Sender = m.Address
	if m.Domain == 0 && m.Address != "" {
		x.m.Sender += "@" + main.QualifyDomain
	}
	x.m.RawSender = x.m.Sender
}
