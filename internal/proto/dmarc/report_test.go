package dmarc

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func feedback() *Feedback {
	return &Feedback{
		Metadata: ReportMetadata{Organization: "Receiver & Co", Email: "dmarc@receiver.example", ID: "1.2@receiver.example", Range: Range{Begin: 920000000, End: 920086399}},
		Policy:   PolicyPublished{Domain: "example.com", Discovery: "psl", Policy: Reject, Subdomain: Quarantine, DKIM: "r", SPF: "s", Testing: "n"},
		Records: []Row{{Source: netip.MustParseAddr("192.0.2.1"), Count: 3, Evaluated: Evaluated{Disposition: "reject", DKIM: "fail", SPF: "fail", Reasons: []Reason{{Type: "local_policy", Comment: "<x>"}}},
			Identifiers: Identifiers{From: "example.com", EnvelopeFrom: "example.org"},
			Results:     AuthResults{DKIM: []DKIMResult{{"example.org", "sel", "pass"}}, SPF: []SPFResult{{"example.org", "mfrom", "pass"}}}}},
	}
}

func TestAggregate(t *testing.T) {
	f := feedback()
	var b bytes.Buffer
	if err := f.WriteXML(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<?xml version="1.0" encoding="UTF-8"?>`, `<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">`, "<org_name>Receiver &amp; Co</org_name>", "<source_ip>192.0.2.1</source_ip>",
		"<comment>&lt;x&gt;</comment>", "<begin>920000000</begin>", "<p>reject</p>", "<sp>quarantine</sp>", "<header_from>example.com</header_from>"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s is missing in\n%s", want, b.String())
		}
	}
	back, err := ReadFeedback(&b)
	if err != nil || !reflect.DeepEqual(back.Records, f.Records) || back.Policy != f.Policy || !reflect.DeepEqual(back.Metadata, f.Metadata) {
		t.Errorf("read back: %+v %v", back, err)
	}
	text, err := AggregateMessage(f, "Reports <dmarc@receiver.example>", "rua@example.com", "receiver.example", "B0undary")
	if err != nil {
		t.Fatal(err)
	}
	parts, header := split(t, text)
	subject := strings.Join(strings.Fields(header.Get("Subject")), " ")
	if subject != "Report Domain: example.com Submitter: receiver.example Report-ID: <1.2@receiver.example>" || len(parts) != 2 {
		t.Errorf("%s: %d parts", subject, len(parts))
	}
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(parts[1].body, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if back, err = ReadFeedback(z); err != nil || back.Records[0].Count != 3 {
		t.Errorf("%+v %v", back, err)
	}
	if !strings.Contains(parts[1].header.Get("Content-Disposition"), "receiver.example!example.com!920000000!920086399!1.2@receiver.example.xml.gz") {
		t.Error(parts[1].header)
	}
}

type part struct {
	header mail.Header
	body   string
}

// split takes a multipart message apart by the standard library.
func split(t *testing.T, text string) (parts []part, header mail.Header) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(m.Body, parameters["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return parts, m.Header
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part{mail.Header(p.Header), string(body)})
	}
}

// TestFailure: RFC 6591 section 3 demands these fields.
func TestFailure(t *testing.T) {
	f := &Failure{From: "Mailer <m@receiver.example>", To: "ruf@example.com", Subject: "FW: hello\nBcc: x", UserAgent: "exigo", ReportingMTA: "mx.receiver.example",
		Arrival: time.Date(1999, 3, 2, 9, 44, 33, 0, time.UTC), Source: netip.MustParseAddr("::ffff:192.0.2.1"), MailFrom: "a@b.example\r\nEvil: x", Domain: "example.com",
		Result: "mx.receiver.example;\n\tdmarc=fail header.from=example.com\n", Kind: "dmarc", Delivery: "reject", SignatureDomain: "x.example", Identity: "@x.example", Selector: "sel", SPFDomain: "b.example", SPFRecord: `v=spf1 "x" -all`,
		Header: "From: a@example.com\nSubject: x\n--B0undary--\n\n\x00Evil\r: y\n"}
	parts, header := split(t, f.Text("B0undary"))
	if len(parts) != 3 || header.Get("Bcc") != "" || !strings.HasPrefix(header.Get("Content-Type"), "multipart/report; report-type=feedback-report;") {
		t.Fatalf("%d parts, %v", len(parts), header)
	}
	m, err := mail.ReadMessage(strings.NewReader(parts[1].body + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Feedback-Type": "auth-failure", "Version": "1", "User-Agent": "exigo", "Auth-Failure": "dmarc", "Source-Ip": "192.0.2.1", "Identity-Alignment": "none",
		"Reported-Domain": "example.com", "Authentication-Results": "mx.receiver.example; dmarc=fail header.from=example.com", "Arrival-Date": "Tue, 02 Mar 1999 09:44:33 +0000", "Evil": "",
		"Delivery-Result": "reject", "Dkim-Domain": "x.example", "Dkim-Selector": "sel", "Dkim-Identity": "@x.example", "Spf-Dns": `txt : b.example : "v=spf1 _x_ -all"`, "Reporting-Mta": "dns; mx.receiver.example", "Original-Mail-From": "<a@b.example??Evil: x>"} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if parts[0].header.Get("Content-Type") != "text/plain; charset=us-ascii" || parts[1].header.Get("Content-Type") != "message/feedback-report" ||
		parts[2].header.Get("Content-Type") != "text/rfc822-headers" || parts[2].body != "From: a@example.com\nSubject: x\nEvil: y\n" {
		t.Errorf("%+v", parts)
	}
	for i, want := range []string{"none", "spf", "dkim", "dkim, spf"} {
		f.SPFAligned, f.DKIMAligned = i&1 != 0, i&2 != 0
		if got := f.alignment(); got != want {
			t.Errorf("%d: %s", i, got)
		}
	}
}

func FuzzFailure(f *testing.F) {
	f.Add("a@b", "x; dmarc=fail", "From: a\n", "d.example")
	f.Fuzz(func(t *testing.T, sender, result, header, domain string) {
		r := &Failure{MailFrom: sender, Result: result, Header: header, Domain: domain, Kind: "dmarc"}
		if parts, _ := split(t, r.Text("B0undary")); len(parts) != 3 {
			t.Errorf("%d parts", len(parts))
		}
	})
}
