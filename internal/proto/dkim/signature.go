package dkim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Signature is a DKIM-Signature field that was read (RFC 6376 section 3.5).
type Signature struct {
	// Field is the whole field as it came.
	Field string
	// Algorithm is a=; its zero value says that it is missing or unknown.
	Algorithm Algorithm
	// Domain is d=, Selector s=, Identity i= as they stand; Identity is "" when there is no i=.
	Domain, Selector, Identity string
	// Header and Body are the canonicalizations of c=.
	Header, Body Canonicalization
	// Names are the names of h=, as they stand without white space.
	Names []string
	// BodyHash is bh=, Value b=.
	BodyHash, Value []byte
	// Limit is l=, Created t= and Expires x= in seconds since 1970; -1 when missing.
	Limit, Created, Expires int64
	// Copied is z= with its quoted-printable encoding undone: "Name:value|Name:value".
	Copied string
	// Err is the first mistake in the field: ErrVersion, or something that wraps ErrSyntax. What could be read in spite of it is above.
	Err error
}

// The mistakes of signature fields.
var (
	// ErrSyntax: a tag is missing, malformed, or contradicts others.
	ErrSyntax = errors.New("signature tag missing or invalid")
	// ErrVersion: v= is there, but not 1.
	ErrVersion = errors.New("unsupported DKIM version")
)

// maxNames bounds the h= list.
const maxNames = 1000

// ParseSignature reads a DKIM-Signature field, name included. A missing bh= is no mistake here: no body has that hash.
func ParseSignature(field string) *Signature {
	s := &Signature{Field: field, Limit: -1, Created: -1, Expires: -1}
	_, value, _ := strings.Cut(field, ":")
	tags, err := ParseTags(value)
	if err != nil {
		s.Err = fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	s.Domain, _ = tags.Get("d")
	s.Selector, _ = tags.Get("s")
	a, _ := tags.Get("a")
	s.Algorithm, _ = ParseAlgorithm(a)
	switch v, ok := tags.Get("v"); {
	case !ok:
		s.wrong("v")
	case v != "1" && s.Err == nil:
		s.Err = ErrVersion
	}
	if c, ok := tags.Get("c"); ok {
		if s.Header, s.Body, ok = ParseCanonicalization(c); !ok {
			s.wrong("c")
		}
	}
	if s.Algorithm.Key == "" {
		s.wrong("a")
	}
	s.readNames(tags)
	s.readHashes(tags)
	s.readNumbers(tags)
	if q, ok := tags.Get("q"); ok && !hasMethod(q) {
		s.wrong("q")
	}
	if z, ok := tags.Get("z"); ok {
		s.Copied = unquote(RemoveSpace(z))
	}
	return s
}

// wrong notes the first mistake.
func (s *Signature) wrong(tag string) {
	if s.Err == nil {
		s.Err = fmt.Errorf("%w: %s=", ErrSyntax, tag)
	}
}

// readNames reads d=, s=, i= and h=.
func (s *Signature) readNames(tags Tags) {
	if !hostName(s.Domain) {
		s.wrong("d")
	}
	if !hostName(s.Selector) || len(s.Selector)+len(s.Domain) > 240 {
		s.wrong("s")
	}
	if i, ok := tags.Get("i"); ok {
		s.Identity = i
		at := strings.LastIndexByte(i, '@')
		if at < 0 || !within(i[at+1:], s.Domain) {
			s.wrong("i")
		}
	}
	h, _ := tags.Get("h")
	if strings.Count(h, ":") >= maxNames {
		s.wrong("h")
		return
	}
	for _, name := range splitColon(h) {
		if name == "" {
			s.wrong("h")
			return
		}
		s.Names = append(s.Names, name)
	}
}

// readHashes reads bh= and b=.
func (s *Signature) readHashes(tags Tags) {
	var err error
	if bh, ok := tags.Get("bh"); ok {
		if s.BodyHash, err = base64.StdEncoding.DecodeString(RemoveSpace(bh)); err != nil {
			s.wrong("bh")
		}
	}
	b, _ := tags.Get("b")
	if s.Value, err = base64.StdEncoding.DecodeString(RemoveSpace(b)); err != nil || len(s.Value) == 0 {
		s.Value = nil
		s.wrong("b")
	}
}

// readNumbers reads l=, t= and x=.
func (s *Signature) readNumbers(tags Tags) {
	for _, n := range []struct {
		tag string
		to  *int64
	}{{"l", &s.Limit}, {"t", &s.Created}, {"x", &s.Expires}} {
		text, ok := tags.Get(n.tag)
		if !ok {
			continue
		}
		v, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			s.wrong(n.tag)
			continue
		}
		*n.to = int64(v)
	}
	if s.Created >= 0 && s.Expires >= 0 && s.Expires < s.Created {
		s.wrong("x")
	}
}

// SignsFrom tells whether the signature covers the From: field, as RFC 6376 section 5.4 demands.
func (s *Signature) SignsFrom() bool {
	for _, n := range s.Names {
		if strings.EqualFold(n, "from") {
			return true
		}
	}
	return false
}

// hasMethod tells whether q= names the one query method there is.
func hasMethod(q string) bool {
	for _, m := range splitColon(q) {
		if strings.EqualFold(m, "dns/txt") || strings.EqualFold(m, "dns") {
			return true
		}
	}
	return false
}

// hostName tells whether the text can be (part of) a name in the DNS: labels of letters, digits, hyphens and underscores, or beyond ASCII
// (RFC 8616).
func hostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	label := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c >= 0x80:
		default:
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return label > 0
}

// within tells whether a domain is another or a subdomain of it.
func within(domain, parent string) bool {
	n := len(domain) - len(parent)
	return parent != "" && n >= 0 && strings.EqualFold(domain[n:], parent) && (n == 0 || domain[n-1] == '.')
}

// unquote undoes DKIM's quoted-printable (section 2.11).
func unquote(s string) string {
	if strings.IndexByte(s, '=') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '=' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(v))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}
