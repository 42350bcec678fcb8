package dmarc

import (
	"compress/gzip"
	"encoding/xml"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Namespace is that of aggregate reports (RFC 9990 appendix A).
const Namespace = "urn:ietf:params:xml:ns:dmarc-2.0"

// Feedback is an aggregate report (RFC 9990 section 3.1): what a receiver saw of a domain's mail in a time.
type Feedback struct {
	XMLName   xml.Name        `xml:"feedback"`
	Namespace string          `xml:"xmlns,attr"`
	Version   string          `xml:"version"`
	Metadata  ReportMetadata  `xml:"report_metadata"`
	Policy    PolicyPublished `xml:"policy_published"`
	Records   []Row           `xml:"record"`
}

// ReportMetadata says who reports about which time.
type ReportMetadata struct {
	Organization string   `xml:"org_name"`
	Email        string   `xml:"email"`
	Contact      string   `xml:"extra_contact_info,omitempty"`
	ID           string   `xml:"report_id"`
	Range        Range    `xml:"date_range"`
	Errors       []string `xml:"error,omitempty"`
	Generator    string   `xml:"generator,omitempty"`
}

// Range is a time in seconds of the epoch, both ends included.
type Range struct {
	Begin int64 `xml:"begin"`
	End   int64 `xml:"end"`
}

// PolicyPublished is the record as it was found.
type PolicyPublished struct {
	Domain      string `xml:"domain"`
	Discovery   string `xml:"discovery_method,omitempty"`
	Policy      Policy `xml:"p"`
	Subdomain   Policy `xml:"sp,omitempty"`
	NonExistent Policy `xml:"np,omitempty"`
	DKIM        string `xml:"adkim,omitempty"`
	SPF         string `xml:"aspf,omitempty"`
	Failure     string `xml:"fo,omitempty"`
	Testing     string `xml:"testing,omitempty"`
}

// Row counts messages that are alike.
type Row struct {
	Source      netip.Addr  `xml:"row>source_ip"`
	Count       int         `xml:"row>count"`
	Evaluated   Evaluated   `xml:"row>policy_evaluated"`
	Identifiers Identifiers `xml:"identifiers"`
	Results     AuthResults `xml:"auth_results"`
}

// Evaluated is what DMARC came to.
type Evaluated struct {
	// Disposition is "none", "pass", "quarantine" or "reject"; DKIM and SPF are "pass" or "fail", alignment included.
	Disposition string   `xml:"disposition"`
	DKIM        string   `xml:"dkim"`
	SPF         string   `xml:"spf"`
	Reasons     []Reason `xml:"reason,omitempty"`
}

// Reason is why the disposition is not what the policy says: "local_policy", "policy_test_mode", "mailing_list", "trusted_forwarder" or "other".
type Reason struct {
	Type    string `xml:"type"`
	Comment string `xml:"comment,omitempty"`
}

// Identifiers are the domains in the message.
type Identifiers struct {
	From         string `xml:"header_from"`
	EnvelopeFrom string `xml:"envelope_from,omitempty"`
}

// AuthResults are the results before alignment.
type AuthResults struct {
	DKIM []DKIMResult `xml:"dkim,omitempty"`
	SPF  []SPFResult  `xml:"spf,omitempty"`
}

// DKIMResult is that of one signature.
type DKIMResult struct {
	Domain   string `xml:"domain"`
	Selector string `xml:"selector"`
	Result   string `xml:"result"`
}

// SPFResult is that of the envelope sender.
type SPFResult struct {
	Domain string `xml:"domain"`
	Scope  string `xml:"scope,omitempty"`
	Result string `xml:"result"`
}

// WriteXML writes the report as an XML document.
func (f *Feedback) WriteXML(w io.Writer) error {
	f.Namespace = Namespace
	if f.Version == "" {
		f.Version = "1.0"
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(f); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// WriteGzip writes the document compressed, as it is sent (RFC 9990 section 3.5.1).
func (f *Feedback) WriteGzip(w io.Writer) error {
	z := gzip.NewWriter(w)
	z.ModTime = time.Unix(f.Metadata.Range.End, 0)
	if err := f.WriteXML(z); err != nil {
		return err
	}
	return z.Close()
}

// maxReport bounds a report that is read.
const maxReport = 64 << 20

// ReadFeedback reads an XML document of either namespace (RFC 9990, RFC 7489).
func ReadFeedback(r io.Reader) (*Feedback, error) {
	f := new(Feedback)
	err := xml.NewDecoder(io.LimitReader(r, maxReport)).Decode(f)
	return f, err
}

// FileName is the name of the report's file (RFC 9990 section 3.5.2): receiver!policy-domain!begin!end!id.xml, perhaps with .gz.
func (f *Feedback) FileName(receiver string) string {
	return fmt.Sprintf("%s!%s!%d!%d!%s.xml", receiver, f.Policy.Domain, f.Metadata.Range.Begin, f.Metadata.Range.End, f.Metadata.ID)
}
