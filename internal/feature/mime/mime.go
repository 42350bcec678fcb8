// Package mime is the room of the ACLs for MIME parts (spec 45.4): before the ACL for DATA or non-SMTP messages, acl_smtp_mime or
// acl_not_smtp_mime runs once for each part of a message that has a Content-Type: line, and the condition decode writes a part into a file.
//
// Trust: messages are outsiders' and their structure may be anything: depth, number of parts and what is decoded are bounded, and a message
// beyond the bounds is refused. What a part says of itself is tainted.
package mime

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/mime"
	"exigo/internal/scan"
	"exigo/internal/submit"
)

// state is what is known of a message's parts.
type state struct {
	// count is $mime_part_count.
	count int
	// The part at hand, nil when no ACL runs; attached says that it belongs to an attached message.
	part     *mime.Part
	attached bool
	source   io.ReaderAt
	// decoded is the file that decode made of the part, size its length.
	decoded string
	size    int64
	anomaly string
	// sequence numbers files, budget is how many bytes may still be decoded, parts how many parts there may be.
	sequence int
	budget   int64
	parts    int
	charset  string
	scan     *scan.Directory
}

// Bounds for one message: attached messages count with it.
const (
	maxAttached = 10    // messages within messages
	maxParts    = 10000 // parts of all of them
	minBudget   = 1 << 20
	maxFactor   = 10 // of the message's size may be decoded
)

// Feature is the room.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "mime", Support: "Content_Scanning", Doc: "ACLs for MIME parts.",
		Variables: variables(),
		Conditions: []acl.Condition{
			{Name: "decode", Phases: acl.Phases(acl.MIME, acl.NotSMTPMIME), Expand: true, Check: checkDecode, Doc: "Decodes the part into a file."},
		},
		Reception: []submit.Room{{Name: "mime", Check: check}, scan.Room()},
	}
}

// check runs the ACL for all parts.
func check(ctx context.Context, s *expand.Scope, m *mail.Message, body *io.SectionReader) (acl.Phase, acl.Outcome) {
	main := option.Of[config.Main](config.Of(s).Main)
	phase, text := acl.NotSMTPMIME, string(main.ACLNotSMTPMIME)
	if m.Session.SMTP && !m.Session.Batch {
		phase, text = acl.MIME, string(main.ACLSMTPMIME)
	}
	if text == "" || !hasType(m) {
		return phase, acl.Outcome{}
	}
	st := mail.State[state](&m.Bag)
	source := newWhole(m, body)
	*st = state{count: -1, budget: max(maxFactor*source.Size(), minBudget), parts: maxParts, charset: main.HeadersCharset, scan: scan.DirectoryOf(s)}
	if err := scan.Use(s); err != nil {
		return phase, acl.Outcome{Verdict: acl.Defer, LogMessage: err.Error(), LogTargets: acl.LogMain | acl.LogPanic}
	}
	outcome := st.walk(ctx, s, m, phase, text, source, 0)
	scan.SetPart(m, nil)
	st.part = nil
	return phase, outcome
}

// hasType tells whether there is a Content-Type: line.
func hasType(m *mail.Message) bool {
	for _, h := range m.Headers {
		if h.Type != '*' && h.Is("content-type") {
			return true
		}
	}
	return false
}

// walk runs the ACL for the parts of the message, or of one attached to it at the given depth.
func (st *state) walk(ctx context.Context, s *expand.Scope, m *mail.Message, phase acl.Phase, text string, source whole, depth int) acl.Outcome {
	outer := st.count
	defer func() {
		if depth > 0 {
			st.count, st.attached = outer, depth > 1
		}
	}()
	w := mime.NewWalker(source.reader(), mime.Limits{Parts: st.parts})
	for st.count = 0; ; st.count++ {
		part, err := w.Next()
		switch {
		case err == io.EOF:
			st.count--
			return acl.Outcome{}
		case err != nil:
			return tooComplex(err)
		case ctx.Err() != nil:
			return acl.Outcome{Verdict: acl.Defer, LogMessage: ctx.Err().Error()}
		}
		st.parts--
		st.part, st.attached, st.source = part, depth > 0, source
		st.decoded, st.size, st.anomaly = "", 0, ""
		scan.SetPart(m, &scan.Part{Raw: func() io.Reader { return part.Body(st.source) }, Decoded: func() (string, error) { return st.ensureDecoded(m.ID) }})
		if o := submit.RunACL(ctx, s, m, phase, text); o.Verdict != acl.OK {
			return o
		}
		if part.Type != "message/rfc822" {
			continue
		}
		if depth >= maxAttached {
			return tooComplex(errTooDeep)
		}
		if o := st.attachment(ctx, s, m, phase, text, depth); o.Verdict != acl.OK {
			return o
		}
	}
}

var errTooDeep = errors.New("messages attached to messages too deeply")

// tooComplex refuses a message whose parts cannot all be looked at: what an ACL would refuse must not hide behind that.
func tooComplex(err error) acl.Outcome {
	return acl.Outcome{Verdict: acl.Fail, UserMessage: "554 The MIME structure of the message is too complex", LogMessage: err.Error(), LogTargets: acl.LogMain | acl.LogReject}
}

// attachment decodes the attached message at hand into a file and looks at its parts.
func (st *state) attachment(ctx context.Context, s *expand.Scope, m *mail.Message, phase acl.Phase, text string, depth int) acl.Outcome {
	name := st.fileName(m.ID)
	err := st.decode(name)
	defer os.Remove(name)
	if errors.Is(err, errBudget) {
		return tooComplex(err)
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(name)
	}
	if err != nil {
		return acl.Outcome{Verdict: acl.Defer, LogMessage: "failed to decode an attached message: " + err.Error(), LogTargets: acl.LogMain | acl.LogPanic}
	}
	defer f.Close()
	outer := *st
	o := st.walk(ctx, s, m, phase, text, whole{body: io.NewSectionReader(f, 0, st.size)}, depth+1)
	outer.parts, outer.budget, outer.sequence = st.parts, st.budget, st.sequence
	*st = outer
	return o
}

// variables are those about the part at hand. They are empty where no ACL for MIME parts runs.
func variables() []expand.Variable {
	flag := func(b bool) string {
		if b {
			return "1"
		}
		return "0"
	}
	rows := []struct {
		name, doc string
		get       func(st *state) string
	}{
		{"mime_anomaly_level", "How serious a problem with decoding the MIME part was.", func(st *state) string {
			if st.anomaly == "" {
				return ""
			}
			return "1"
		}},
		{"mime_anomaly_text", "What the problem with decoding the MIME part was.", func(st *state) string { return st.anomaly }},
		{"mime_boundary", "The boundary of a multipart.", func(st *state) string { return st.part.Boundary() }},
		{"mime_charset", "The character set in the part's Content-Type: line.", func(st *state) string { return charset(st.field("content-type"), st.part.Parameters.Get("charset")) }},
		{"mime_content_description", "The part's Content-Description: line.", func(st *state) string { return st.field("content-description") }},
		{"mime_content_disposition", "The part's disposition, as inline or attachment.", func(st *state) string { return st.part.Disposition }},
		{"mime_content_id", "The part's Content-ID: line.", func(st *state) string { return st.field("content-id") }},
		{"mime_content_size", "The size of the decoded part in kilobytes.", func(st *state) string {
			return strconv.FormatInt((st.size+1023)/1024, 10)
		}},
		{"mime_content_transfer_encoding", "How the part is encoded.", func(st *state) string { return st.part.Encoding }},
		{"mime_content_type", "The part's media type.", func(st *state) string { return st.part.Type }},
		{"mime_decoded_filename", "The file with the decoded part.", func(st *state) string { return st.decoded }},
		{"mime_filename", "The file name that the part suggests.", func(st *state) string { return st.part.Filename(st.charset) }},
		{"mime_is_coverletter", "1 for what the sender wrote, 0 for an attachment.", func(st *state) string { return flag(st.part.CoverLetter()) }},
		{"mime_is_multipart", "1 for a multipart.", func(st *state) string { return flag(st.part.Multipart()) }},
		{"mime_is_rfc822", "1 within an attached message.", func(st *state) string { return flag(st.attached) }},
	}
	out := []expand.Variable{{Name: "mime_part_count", Doc: "Counts the MIME parts from 0; -1 before the first.", Get: partCount}}
	for _, row := range rows {
		out = append(out, expand.Variable{Name: row.name, Doc: row.doc, Get: func(s *expand.Scope) (expand.Value, error) {
			st := stateOf(s)
			if st == nil || st.part == nil {
				return mail.Clean(""), nil
			}
			return mail.Value{S: row.get(st), Tainted: row.name != "mime_decoded_filename"}, nil
		}})
	}
	return out
}

func partCount(s *expand.Scope) (expand.Value, error) {
	if st := stateOf(s); st != nil {
		return mail.Clean(strconv.Itoa(st.count)), nil
	}
	return mail.Clean("-1"), nil
}

func stateOf(s *expand.Scope) *state {
	if s.Message == nil {
		return nil
	}
	return mail.Peek[state](&s.Message.Bag)
}

// field is the unfolded content of a header line of the part.
func (st *state) field(name string) string {
	for _, f := range st.part.Header {
		if f.Is(name) {
			return strings.Join(strings.Fields(f.Body()), " ")
		}
	}
	return ""
}

// charset returns the value of the parameter as it was read, but if a quotation mark is left open in it, what Exim makes of that: all that
// follows belongs to the value, and a semicolon.
func charset(field, read string) string {
	quoted, start := false, 0
	for i := range len(field) {
		switch {
		case field[i] == '"':
			quoted = !quoted
		case field[i] == ';' && !quoted:
			start = i + 1
		}
	}
	name, value, _ := strings.Cut(field[start:], "=")
	if !quoted || !strings.EqualFold(strings.TrimSpace(name), "charset") {
		return read
	}
	return strings.ReplaceAll(strings.TrimLeft(value, " "), `"`, "") + ";"
}
