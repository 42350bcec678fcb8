package dmarc

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// AggregateMessage returns a report as a MIME message with LF line ends (RFC 9990 section 3.5.2). from and to are header texts, receiver is the
// name of the reporting domain, boundary a word of letters and digits that is in no text.
func AggregateMessage(f *Feedback, from, to, receiver, boundary string) (string, error) {
	var data bytes.Buffer
	if err := f.WriteGzip(&data); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "From: %s\nTo: %s\nSubject: Report Domain: %s Submitter: %s\n Report-ID: <%s>\n", line(from), folded(to), line(f.Policy.Domain), line(receiver), line(f.Metadata.ID))
	b.WriteString("Auto-Submitted: auto-generated\nMIME-Version: 1.0\n")
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"%s\"\n\n", boundary)
	fmt.Fprintf(&b, "--%s\nContent-Type: text/plain; charset=us-ascii\n\nThis is a DMARC aggregate report for %s,\nfrom %s to %s, of %d kinds of messages.\n\n",
		boundary, line(f.Policy.Domain), time.Unix(f.Metadata.Range.Begin, 0).UTC().Format(time.RFC3339),
		time.Unix(f.Metadata.Range.End, 0).UTC().Format(time.RFC3339), len(f.Records))
	fmt.Fprintf(&b, "--%s\nContent-Type: application/gzip\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment;\n filename=\"%s.gz\"\n\n",
		boundary, quotable(f.FileName(receiver)))
	text := base64.StdEncoding.EncodeToString(data.Bytes())
	for len(text) > 76 {
		b.WriteString(text[:76] + "\n")
		text = text[76:]
	}
	fmt.Fprintf(&b, "%s\n\n--%s--\n", text, boundary)
	return b.String(), nil
}

// line makes a text fit for one line of a header: no control characters.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

func quotable(s string) string { return strings.NewReplacer(`"`, "_", `\`, "_").Replace(line(s)) }

// Failure is a failure report about one message (RFC 6591 with RFC 9991): what the authentication of it came to, and its header.
type Failure struct {
	// From and To are header texts, Subject that of the report's Subject: field.
	From, To, Subject string
	// UserAgent is the reporting software, ReportingMTA the name of this host.
	UserAgent, ReportingMTA string
	Arrival                 time.Time
	Source                  netip.Addr
	// MailFrom is the envelope sender, Recipient an envelope recipient ("" to keep it private).
	MailFrom, Recipient string
	// Domain is the author's, Result the body of an Authentication-Results: field about the message.
	Domain, Result string
	// Kind is what failed: "dmarc", "signature" or "spf" (Auth-Failure:).
	Kind string
	// SPFAligned and DKIMAligned say which method passed with alignment.
	SPFAligned, DKIMAligned bool
	// Delivery is "delivered", "spam", "policy", "reject" or "other".
	Delivery string
	// SignatureDomain, Identity and Selector are d=, i= and s= of the signature that is reported, if any.
	SignatureDomain, Identity, Selector string
	// SPFDomain and SPFRecord are the domain that SPF was asked about and its record, if known.
	SPFDomain, SPFRecord string
	// Header is the message's header section with LF line ends.
	Header string
}

// Text returns the report as a MIME message with LF line ends. boundary is a word of letters and digits that is in no text.
func (f *Failure) Text(boundary string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: %s\nTo: %s\nSubject: %s\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n", line(f.From), folded(f.To), line(f.Subject))
	fmt.Fprintf(&b, "Content-Type: multipart/report; report-type=feedback-report;\n\tboundary=\"%s\"\n\n", boundary)
	fmt.Fprintf(&b, "--%s\nContent-Type: text/plain; charset=us-ascii\n\nThis is an authentication failure report for an email message received from\n"+
		"%s on %s.\nThe message claimed to be from the domain %s.\n\n", boundary, f.Source, f.Arrival.Format(time.RFC1123Z), line(f.Domain))
	fmt.Fprintf(&b, "--%s\nContent-Type: message/feedback-report\n\nFeedback-Type: auth-failure\nUser-Agent: %s\nVersion: 1\n", boundary, line(f.UserAgent))
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, line(value))
		}
	}
	field("Original-Mail-From", "<"+f.MailFrom+">")
	if f.Recipient != "" {
		field("Original-Rcpt-To", "<"+f.Recipient+">")
	}
	field("Arrival-Date", f.Arrival.Format(time.RFC1123Z))
	if f.Source.IsValid() {
		field("Source-IP", f.Source.Unmap().String())
	}
	field("Reporting-MTA", "dns; "+f.ReportingMTA)
	field("Reported-Domain", f.Domain)
	fmt.Fprintf(&b, "Authentication-Results: %s\n", folded(f.Result))
	field("Auth-Failure", f.Kind)
	field("Identity-Alignment", f.alignment())
	field("DKIM-Domain", f.SignatureDomain)
	field("DKIM-Identity", f.Identity)
	field("DKIM-Selector", f.Selector)
	if f.SPFRecord != "" {
		fmt.Fprintf(&b, "SPF-DNS: txt : %s :\n\t\"%s\"\n", line(f.SPFDomain), quotable(f.SPFRecord))
	}
	field("Delivery-Result", f.Delivery)
	fmt.Fprintf(&b, "\n--%s\nContent-Type: text/rfc822-headers\n\n%s\n--%s--\n", boundary, quoted(f.Header), boundary)
	return b.String()
}

// alignment lists the methods with aligned identifiers (RFC 7489 section 7.3.1).
func (f *Failure) alignment() string {
	switch {
	case f.SPFAligned && f.DKIMAligned:
		return "dkim, spf"
	case f.SPFAligned:
		return "spf"
	case f.DKIMAligned:
		return "dkim"
	}
	return "none"
}

// folded keeps the folds of a field body, as long as each line begins with white space.
func folded(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\r\n"), "\n")
	for i := range lines {
		lines[i] = strings.Trim(line(strings.ReplaceAll(lines[i], "\t", " ")), " ")
	}
	return strings.Join(lines, "\n\t")
}

// maxHeader bounds what is returned of a header section.
const maxHeader = 64 * 1024

// quoted makes a header section safe to be put into a message: no bare CR, no NUL, lines that cannot be taken for the boundary stay lines of a header.
func quoted(header string) string {
	if len(header) > maxHeader {
		header = header[:maxHeader]
		header = header[:strings.LastIndexByte(header, '\n')+1]
	}
	header = strings.NewReplacer("\r", "", "\x00", "").Replace(header)
	var b strings.Builder
	for _, l := range strings.SplitAfter(header, "\n") {
		if l != "\n" && !strings.HasPrefix(l, "--") {
			b.WriteString(l)
		}
	}
	return b.String()
}
