package submit

import (
	"context"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/address"
	"exigo/internal/proto/header"
	"exigo/internal/rewrite"
)

// ownFrom replaces a From: line that holds nothing but the login name of the submitter (spec 48.11).
func (x *reception) ownFrom() {
	login := x.m.Session.Login
	if !x.local() || x.m.Session.SMTP || login == "" || x.m.Controls.SuppressLocalFixups {
		return
	}
	for i, h := range x.m.Headers {
		if x.isOurs(h, "from") && strings.EqualFold(strings.TrimSpace(h.Value()), login) {
			x.m.Headers[i].Type = '*'
			x.add("From", x.phrase(x.fullName())+x.angle(x.in.OwnAddress))
			return
		}
	}
}

func (x *reception) add(name, value string) {
	h := mail.NewHeader(x.prefix() + name + ": " + value + "\n")
	if x.resent {
		h.Type = mail.TypeFor(name)
	}
	x.m.Headers = append(x.m.Headers, h)
}

func (x *reception) angle(a string) string { return "<" + a + ">" }

// phrase is a name made fit for a header line, with a space behind it.
func (x *reception) phrase(name string) string {
	name = strings.TrimSpace(name)
	if name == "" {
		return ""
	}
	return rewrite.Phrase(oneLine(name), x.r.s.Main.HeadersCharset, x.r.s.Main.PrintTopBitChars) + " "
}

// oneLine takes characters out that would end a header line.
func oneLine(s string) string {
	return strings.NewReplacer("\n", " ", "\r", " ", "\x00", " ").Replace(s) // bytes of any charset stay
}

// fullName is the name of the submitting user: -F, or what the password file says.
func (x *reception) fullName() string {
	if x.in.FullName != "" {
		return x.in.FullName
	}
	return x.r.gecosName(x.m.Session.CallerUID, x.m.Session.Login)
}

// addMissing adds Message-ID:, From: and Sender: (spec 48.11, 48.12, 48.16).
func (x *reception) addMissing() {
	if !x.fixes() {
		return
	}
	from := x.fromHeader()
	x.addMessageID()
	switch {
	case from < 0:
		x.addFrom()
	case x.m.Controls.Submission && !x.m.Controls.SenderRetain || !x.m.Controls.Submission && x.r.s.Main.LocalFromCheck && !x.m.Session.Trusted:
		x.addSender(x.m.Headers[from])
	}
	x.submissionReturnPath()
}

func (x *reception) fromHeader() int {
	for i, h := range x.m.Headers {
		if x.isOurs(h, "from") {
			return i
		}
	}
	return -1
}

// addMessageID adds a Message-Id: line made of our id.
func (x *reception) addMessageID() {
	if x.has("message-id") {
		return
	}
	domain, text := x.messageIDPart("message_id_header_domain", string(x.r.s.Main.MessageIDHeaderDomain)), x.messageIDPart("message_id_header", string(x.r.s.Main.MessageIDHeaderText))
	if domain == "" {
		domain = x.r.s.Main.PrimaryHostname
	}
	if text != "" {
		text = "." + text
	}
	x.created = true
	h := mail.Header{Type: 'I', Text: x.prefix() + "Message-Id: <E" + x.m.ID + text + "@" + domain + ">\n"}
	if x.resent {
		x.m.Headers = append([]mail.Header{h}, x.m.Headers...)
		return
	}
	x.m.Headers = append(x.m.Headers, h)
}

// messageIDPart expands a part of Message-ID:; characters that cannot stand in it become hyphens.
func (x *reception) messageIDPart(what, text string) string {
	if text == "" {
		return ""
	}
	v, err := x.r.s.Engine.Expand(x.s, text)
	if err != nil {
		x.log(eventlog.Main|eventlog.Panic, "expansion of "+text+" ("+what+") failed: "+err.Error(), false)
		return ""
	}
	clean := func(c rune) rune {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune("()<>@,;:\\\"[]", c) {
			return '-'
		}
		return c
	}
	if what == "message_id_header_domain" {
		clean = func(c rune) rune {
			if c == '.' || c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
				return c
			}
			return '-'
		}
	}
	return strings.Map(clean, v.S)
}

// authenticatedAddress is the address of an authenticated submitter (spec 48.16), "" when there is none.
func (x *reception) authenticatedAddress() string {
	id := x.m.Session.AuthID
	if x.m.Session.Authenticator == "" && !x.local() || id == "" {
		return ""
	}
	domain, set := acl.SubmissionDomain(x.m)
	switch {
	case set && domain == "":
		return id
	case set:
		return address.QuoteLocalPart(id) + "@" + domain
	}
	return address.QuoteLocalPart(id) + "@" + x.r.s.Main.QualifyDomain
}

// addFrom adds a From: line.
func (x *reception) addFrom() {
	if x.m.Controls.Submission {
		if a := x.m.Sender; a != "" {
			x.add("From", x.named(x.m.Controls.SubmissionName, a))
		} else if a := x.authenticatedAddress(); a != "" {
			x.add("From", x.named(x.m.Controls.SubmissionName, a))
		}
		return
	}
	sender := x.m.Sender
	if sender == "" {
		// Replies that we make name who submitted them, and so do messages of ordinary users; a trusted user who gives the null
		// sender knows what he does.
		if sender = x.in.OwnAddress; sender == "" || x.m.Session.Trusted && !x.in.Generated {
			return
		}
	}
	name := x.in.FullName
	trusted := x.m.Session.SMTP && x.m.Session.Trusted && !x.in.Generated // his MAIL command decides, whatever it says
	if !trusted && (sender == x.in.OwnAddress || x.m.RawSender == x.in.OwnAddress) {
		name = x.fullName()
	}
	x.add("From", x.named(name, sender))
}

// named is an address with a name before it, if there is one.
func (x *reception) named(name, a string) string {
	if p := x.phrase(name); p != "" {
		return p + x.angle(a)
	}
	return a
}

// addSender adds a Sender: line when the address in From: is not that of the submitter.
func (x *reception) addSender(from mail.Header) {
	expected, name := x.in.OwnAddress, ""
	if x.m.Controls.Submission {
		expected, name = x.authenticatedAddress(), x.m.Controls.SubmissionName
	} else {
		name = x.fullName()
	}
	if expected == "" || x.matchesSender(from, expected) {
		return
	}
	x.add("Sender", x.named(name, expected))
}

// matchesSender compares the one address of From: with the submitter's, whose local part may have prefix and suffix there.
func (x *reception) matchesSender(from mail.Header, expected string) bool {
	m, err := address.Extract(strings.TrimSpace(from.Value()), x.r.addressOptions())
	if err != nil {
		return false
	}
	given := m.Address
	if m.Domain == 0 {
		if !x.m.AllowUnqualifiedSender {
			return false
		}
		given += "@" + x.r.s.Main.QualifyDomain
	}
	local, domain := address.Split(given)
	wantLocal, wantDomain := address.Split(expected)
	if !strings.EqualFold(domain, wantDomain) {
		return false
	}
	main := x.r.s.Main
	for _, prefix := range append(option.SplitList(main.LocalFromPrefix), "") {
		for _, suffix := range append(option.SplitList(main.LocalFromSuffix), "") {
			if withAffixes(local, prefix, wantLocal, suffix) {
				return true
			}
		}
	}
	return false
}

// withAffixes tells whether a local part is another one with a prefix and a suffix. A prefix that begins with * stands for anything that
// ends with the rest of it; a suffix that ends with * for anything that begins with the rest of it.
func withAffixes(local, prefix, want, suffix string) bool {
	anyBefore, anyAfter := strings.HasPrefix(prefix, "*"), strings.HasSuffix(suffix, "*")
	middle := strings.TrimPrefix(prefix, "*") + want + strings.TrimSuffix(suffix, "*")
	switch {
	case anyBefore && anyAfter:
		return strings.Contains(local, middle)
	case anyBefore:
		return strings.HasSuffix(local, middle)
	case anyAfter:
		return strings.HasPrefix(local, middle)
	}
	return local == middle
}

// submissionReturnPath makes the envelope sender the submitter's address in submission mode (spec 48.1).
func (x *reception) submissionReturnPath() {
	c := &x.m.Controls
	if !c.Submission || c.SenderRetain || x.m.Sender == "" {
		return
	}
	if a := x.authenticatedAddress(); a != "" {
		x.m.Sender = a
	}
}

// addReceived adds our Received: line before all others. Its time is that of the start of the reception; it changes when the message
// is kept.
func (x *reception) addReceived() {
	restore := func() {}
	if len(x.m.Recipients) == 1 {
		restore = x.s.SetExtra("received_for", mail.Value{S: x.m.Recipients[0].Address, Tainted: true})
	}
	text, err := x.r.s.Engine.Expand(x.s, string(x.r.s.Main.ReceivedHeaderText))
	restore()
	if err != nil {
		x.log(eventlog.Main|eventlog.Panic, "Expansion of \""+string(x.r.s.Main.ReceivedHeaderText)+"\" (received_header_text) failed: "+err.Error(), false)
		return
	}
	if text.S == "" {
		return
	}
	x.received = 0
	h := mail.Header{Type: 'P', Text: strings.TrimRight(oneField(text.S), "\n") + ";\n\t" + header.FormatDate(x.m.Received) + "\n"}
	x.m.Headers = append(x.m.Headers, mail.Header{})
	copy(x.m.Headers[1:], x.m.Headers)
	x.m.Headers[0] = h
}

// oneField makes sure that a text with newlines stays one header field.
func oneField(s string) string {
	if !strings.ContainsAny(s, "\r\x00") && !strings.Contains(strings.TrimRight(s, "\n"), "\n") {
		return s
	}
	s = strings.TrimRight(s, "\n")
	if strings.ContainsAny(s, "\r\x00") {
		s = strings.NewReplacer("\r", "", "\x00", "").Replace(s)
	}
	lines := strings.Split(s, "\n")
	for i := 1; i < len(lines); i++ {
		if lines[i] == "" || lines[i][0] != ' ' && lines[i][0] != '\t' {
			lines[i] = "\t" + lines[i]
		}
	}
	return strings.Join(lines, "\n")
}

// gecosName is the full name of a user (spec 48.18), of the password file or of unknown_username; a user whose field there is empty has none.
func (r *Receiver) gecosName(uid int, login string) string {
	s := r.s.Engine.NewScope(context.Background(), r.s.Config, nil, nil)
	main := r.s.Main
	u, found, err := r.s.World.Users.ByUID(uid)
	if err != nil || !found {
		v, err := r.s.Engine.Expand(s, string(main.UnknownUsername))
		if err != nil {
			return ""
		}
		return v.S
	}
	if login == "" {
		login = u.Name
	}
	name, _, _ := strings.Cut(u.Gecos, ",")
	if u.Gecos != "" && main.GecosName != "" && r.s.Config.IsSet("gecos_pattern") {
		name = u.Gecos
		if ok, err := s.Match(main.GecosPattern, mail.Clean(u.Gecos), 0); ok && err == nil {
			if v, err := r.s.Engine.Expand(s, string(main.GecosName)); err == nil {
				name = v.S
			}
		}
	}
	if strings.Contains(name, "&") && login != "" {
		name = strings.ReplaceAll(name, "&", strings.ToUpper(login[:1])+login[1:])
	}
	return name
}
