package arc

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"exigo/internal/proto/authres"
	"exigo/internal/proto/dkim"
)

// Seal is what a set is made with.
type Seal struct {
	// Domain and Selector name the key (d=, s=).
	Domain, Selector string
	Key              *dkim.PrivateKey
	// Results are the payload of the ARC-Authentication-Results field behind the instance number, folding included; see Combine.
	Results string
	// Status is that of the chain as it arrived: None, Pass or Fail. None is for messages without a chain.
	Status Result
	// Names are the header fields to sign; see SignedNames.
	Names []string
	// Header and Body are the canonicalisations of the message signature.
	Header, Body dkim.Canonicalization
	// Time, unless zero, is put into both signatures (t=), Expiry into the message signature (x=).
	Time, Expiry time.Time
	// Random is for the blinding of RSA.
	Random io.Reader

	// format writes a field with its tags; nil: as Exim does.
	format func(name string, tags []dkim.Tag) string
}

// The reasons for which no set is added.
var (
	// ErrEnded: the chain has failed before and was sealed so; no further set may be added (RFC 8617 section 5.1.2).
	ErrEnded = errors.New("chain already ended with cv=fail")
	// ErrFull: the chain has as many sets as it can.
	ErrFull = fmt.Errorf("chain of %d sets", MaxSets)
	// ErrStatus: what is known of the chain does not fit the message.
	ErrStatus = errors.New("status of the chain is not known")
)

// NewBody returns a canonicaliser for the body, to be written to and closed, and the hash to be given to Set.
func (s *Seal) NewBody(onlyLF bool) (*dkim.Body, *dkim.BodyHash) {
	b := dkim.NewBody(s.Body, onlyLF)
	return b, b.Hash(crypto.SHA256.New(), -1)
}

// Set makes a set over the fields of a message and its body: three fields, each with a final LF, to be put above the others.
func (s *Seal) Set(fields []string, bodyHash []byte) (string, error) {
	c := NewChain(fields)
	switch {
	case c.Status() == Fail:
		return "", ErrEnded
	case c.Len() >= MaxSets:
		return "", ErrFull
	}
	status := s.Status
	switch {
	case c.Empty():
		status = None
	case c.fault != "":
		status = Fail
	case status != Pass && status != Fail:
		return "", ErrStatus
	}
	format := s.format
	if format == nil {
		format = eximFormat
	}
	instance := c.Len() + 1
	one := &set{}
	one.fields[results] = ResultsField + ": i=" + strconv.Itoa(instance) + "; " + s.Results + "\n"
	a := dkim.Algorithm{Key: s.Key.Type(), Hash: "sha256"}
	h := a.CryptoHash()
	tags := s.messageTags(instance, a, bodyHash)
	one.fields[signature] = format(SignatureField, tags)
	digest := dkim.HashHeader(h.New(), s.Header, dkim.NewSection(fields).Pick(s.Names), one.fields[signature])
	if err := s.sign(tags, h, digest); err != nil {
		return "", err
	}
	one.fields[signature] = format(SignatureField, tags)

	tags = s.sealTags(instance, a, status)
	one.fields[seal] = format(SealField, tags)
	c.sets = append(c.sets, one)
	first := 1
	if status == Fail {
		first = instance // of a failed chain only the own set is covered (section 5.1.2)
	}
	if err := s.sign(tags, h, c.sealed(h, first, instance)); err != nil {
		return "", err
	}
	return format(SealField, tags) + one.fields[results] + one.fields[signature], nil
}

// sign signs the digest and puts the signature into b=, which is the last tag.
func (s *Seal) sign(tags []dkim.Tag, h crypto.Hash, digest []byte) error {
	sig, err := s.Key.Sign(s.Random, h, digest)
	tags[len(tags)-1].Value = base64.StdEncoding.EncodeToString(sig)
	return err
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// messageTags are those of ARC-Message-Signature in order, b= last and empty.
func (s *Seal) messageTags(instance int, a dkim.Algorithm, bodyHash []byte) []dkim.Tag {
	canon := s.Header.String()
	if s.Body != dkim.Simple {
		canon += "/" + s.Body.String()
	}
	tags := []dkim.Tag{{Name: "i", Value: strconv.Itoa(instance)}, {Name: "a", Value: a.String()}, {Name: "c", Value: canon}, {Name: "d", Value: s.Domain}, {Name: "s", Value: s.Selector}}
	if !s.Time.IsZero() {
		tags = append(tags, dkim.Tag{Name: "t", Value: unix(s.Time)})
	}
	if !s.Expiry.IsZero() {
		tags = append(tags, dkim.Tag{Name: "x", Value: unix(s.Expiry)})
	}
	return append(tags, dkim.Tag{Name: "bh", Value: base64.StdEncoding.EncodeToString(bodyHash)}, dkim.Tag{Name: "h", Value: strings.Join(s.Names, ":")}, dkim.Tag{Name: "b"})
}

// sealTags are those of ARC-Seal in order, b= last and empty.
func (s *Seal) sealTags(instance int, a dkim.Algorithm, status Result) []dkim.Tag {
	tags := []dkim.Tag{{Name: "i", Value: strconv.Itoa(instance)}, {Name: "cv", Value: string(status)}, {Name: "a", Value: a.String()}, {Name: "d", Value: s.Domain}, {Name: "s", Value: s.Selector}}
	if !s.Time.IsZero() {
		tags = append(tags, dkim.Tag{Name: "t", Value: unix(s.Time)})
	}
	return append(tags, dkim.Tag{Name: "b"})
}

// lineLength is how long lines of fields are made; signatures have signedWide characters a line.
const (
	lineLength = 78
	signedWide = 74
)

// eximFormat writes a field with the line breaks of Exim: bh=, h= and b= begin lines.
func eximFormat(name string, tags []dkim.Tag) string {
	var b strings.Builder
	b.WriteString(name + ":")
	column := b.Len()
	for _, t := range tags {
		text := t.Name + "=" + t.Value + ";"
		switch {
		case t.Name == "b":
			b.WriteString("\n\t")
			if name == SealField {
				b.WriteByte(' ')
			}
			b.WriteString("b=")
			v := t.Value
			for len(v) > signedWide {
				b.WriteString(v[:signedWide] + "\n\t  ")
				v = v[signedWide:]
			}
			b.WriteString(v + ";")
			continue
		case t.Name == "h":
			column = foldList(&b, text)
			continue
		case t.Name == "bh" || column+1+len(text) > lineLength:
			b.WriteString("\n\t")
			column = 8
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(text)
		column += len(text)
	}
	b.WriteByte('\n')
	return b.String()
}

// foldList writes a list with colons on lines of its own.
func foldList(b *strings.Builder, text string) int {
	b.WriteString("\n\t")
	column := 8
	for i, item := range strings.SplitAfter(text, ":") {
		if i > 0 && column+len(item) > lineLength {
			b.WriteString("\n\t ")
			column = 9
		}
		b.WriteString(item)
		column += len(item)
	}
	return column
}

// SignedNames are the names of the fields that are in the list (lower case), as they are written, from the lowest to the topmost: what a
// signature covers field by field. At most limit names are returned.
func SignedNames(fields, list []string, limit int) []string {
	eligible := make(map[string]bool, len(list))
	for _, name := range list {
		eligible[name] = true
	}
	var names []string
	for i := len(fields) - 1; i >= 0 && len(names) < limit; i-- {
		name, _, _ := strings.Cut(fields[i], ":")
		if name = strings.TrimRight(name, " \t"); eligible[strings.ToLower(name)] {
			names = append(names, name)
		}
	}
	return names
}

// maxResults bounds the results that are put together.
const maxResults = 64 << 10

// Combine puts the results of all Authentication-Results fields of the domain together (RFC 8617 section 4.1.1), as the payload of an
// ARC-Authentication-Results field behind the instance number: the results as they stand, those of the topmost field first. remoteIP, unless
// "", stands first. Status is the result of the method arc in the topmost field that has one, "" for none. It is false where the domain has
// no such field. Fields whose authserv-id does not stand plainly in front do not count, nor do those that cannot be read.
//
// When a message passes through a domain again, the fields below the domain's newest set are of an earlier time, and recorded in that set: they count
// only where there are no others.
func Combine(fields []string, admd, remoteIP string) (payload string, status Result, ok bool) {
	var recent, earlier []string
	for i, f := range fields {
		if k, is := fieldKind(f); is && k != results && earlier == nil {
			if _, tags, _ := read(k, f); sameDomain(tags, admd) {
				recent, earlier = fields[:i], fields[i:]
			}
		}
	}
	if earlier != nil {
		if payload, status, ok = combine(recent, admd, remoteIP); ok {
			return payload, status, ok
		}
	}
	return combine(fields, admd, remoteIP)
}

func sameDomain(tags dkim.Tags, domain string) bool {
	d, _ := tags.Get("d")
	return strings.EqualFold(d, domain)
}

func combine(fields []string, admd, remoteIP string) (payload string, status Result, ok bool) {
	var b strings.Builder
	b.WriteString(admd)
	if remoteIP != "" {
		b.WriteString("; smtp.remote-ip=" + authres.Value(remoteIP))
	}
	some := false
	for _, f := range fields {
		h, value, text := own(f, admd)
		if h == nil || b.Len()+len(text) > maxResults {
			continue
		}
		ok = true
		for _, r := range h.Results {
			if r.Method == "arc" && status == "" {
				status = Result(r.Result)
			}
		}
		switch {
		case len(h.Results) == 0:
			continue
		case some:
			b.WriteString(";\n\t" + text)
		default:
			b.WriteString(";" + lead(value, text) + text)
		}
		some = true
	}
	if !some {
		b.WriteString("; none")
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n"), status, ok
}

// own reads an Authentication-Results field of the domain; nil for any other field. value is its payload, text that of its results.
func own(field, admd string) (h *authres.Header, value, text string) {
	name, value, _ := strings.Cut(field, ":")
	if !strings.EqualFold(strings.TrimRight(name, " \t"), authres.FieldName) {
		return nil, "", ""
	}
	id, text, err := authres.Split(value)
	if err != nil || !strings.EqualFold(id, admd) || !strings.HasPrefix(strings.TrimLeft(value, " \t\r\n"), id) {
		return nil, "", ""
	}
	if h, err = authres.Parse(value); err != nil {
		return nil, "", ""
	}
	return h, value, text
}

// lead is the white space before text in value, at least a space.
func lead(value, text string) string {
	before := value[:strings.LastIndex(value, text)]
	if white := before[len(strings.TrimRight(before, " \t\r\n")):]; white != "" {
		return white
	}
	return " "
}
