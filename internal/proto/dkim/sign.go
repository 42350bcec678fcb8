package dkim

import (
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Signing is one signature to be made. The body is hashed first, by a Body of the canonicalization and hash; then Sign makes the field.
type Signing struct {
	// Domain is d=, Selector s=; Identity is i= as it is to stand, "" for none.
	Domain, Selector, Identity string
	Key                        *PrivateKey
	// Hash is "sha256", "sha512" or the historic "sha1".
	Hash         string
	Header, Body Canonicalization
	// Created and Expires are t= and x= in seconds since 1970; 0 leaves them out.
	Created, Expires int64
	// Names says which fields are signed, see SelectNames.
	Names []string
}

// Algorithm is a= of the signature.
func (s *Signing) Algorithm() Algorithm { return Algorithm{s.Key.Type(), s.Hash} }

// ErrAlgorithm: the hash is not one to sign with, or not with such a key.
var ErrAlgorithm = errors.New("unknown hash algorithm")

// ErrValue: domain, selector or identity cannot stand in a tag.
var ErrValue = errors.New("domain, selector or identity with control characters, white space or semicolons")

// writable tells whether a name or value can stand in a tag list as it is. Field names with semicolons are allowed by RFC 5322, but would end
// the tag h=.
func writable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f || s[i] == ';' {
			return false
		}
	}
	return true
}

// SelectNames works out the h= list for a section. The section's fields are gone through from the bottom to the top, and each takes the first
// item that names it: a plain name stands for one field; with "=" before it, for all fields of the name; with "+", for all and for one
// more that is not there. What names are left over, and those of "+" once more, follow, so that no such field can be added without breaking the
// signature; "=" names are not among them. Items that cannot be names of fields are left out.
func SelectNames(s *Section, items []string) []string {
	type item struct {
		name, lower string
		kind        byte
		used        bool
	}
	list := make([]item, 0, len(items))
	wanted := make(map[string][]int, len(items))
	for _, text := range items {
		it := item{name: trim(text)}
		if it.name != "" && (it.name[0] == '=' || it.name[0] == '+') {
			it.kind, it.name = it.name[0], trim(it.name[1:])
		}
		if it.lower = strings.ToLower(it.name); it.lower != "" && writable(it.lower) {
			wanted[it.lower] = append(wanted[it.lower], len(list))
			list = append(list, it)
		}
	}
	var names []string
	for i := len(s.fields) - 1; i >= 0; i-- {
		name, _, ok := strings.Cut(s.fields[i], ":")
		if !ok {
			continue
		}
		name = strings.TrimRight(name, " \t")
		lower := strings.ToLower(name)
		candidates := wanted[lower]
		if len(candidates) == 0 {
			continue
		}
		if first := &list[candidates[0]]; first.kind == 0 {
			first.used = true
			wanted[lower] = candidates[1:]
		}
		names = append(names, name)
	}
	for _, it := range list {
		if !it.used && it.kind != '=' {
			names = append(names, it.name)
		}
	}
	return names
}

// Sign makes the DKIM-Signature field, LF line ends, for a header section and the hash of the body. The random source is for the blinding of RSA.
func (s *Signing) Sign(random io.Reader, section *Section, bodyHash []byte) (string, error) {
	hash, _ := hashByName(s.Hash)
	if _, ok := ParseAlgorithm(s.Algorithm().String()); !ok {
		return "", ErrAlgorithm
	}
	if !writable(s.Domain + s.Selector + s.Identity) {
		return "", ErrValue
	}
	names := SelectNames(section, s.Names)
	var f folded
	f.b.WriteString("DKIM-Signature:")
	f.column = len("DKIM-Signature:")
	f.tag("v", "1")
	f.tag("a", s.Algorithm().String())
	f.tag("q", "dns/txt")
	f.tag("c", s.Header.String()+"/"+s.Body.String())
	f.tag("d", s.Domain)
	f.tag("s", s.Selector)
	f.list("h", names)
	f.tag("bh", base64.StdEncoding.EncodeToString(bodyHash))
	if s.Identity != "" {
		f.tag("i", s.Identity)
	}
	if s.Created > 0 {
		f.tag("t", strconv.FormatInt(s.Created, 10))
	}
	if s.Expires > 0 {
		f.tag("x", strconv.FormatInt(s.Expires, 10))
	}
	// The signature covers its own field without the value; where lines are folded depends on how long that is.
	before := f.b.String()
	f.tag("b", base64.StdEncoding.EncodeToString(make([]byte, s.Key.signatureSize())))
	digest := HashHeader(hash.New(), s.Header, section.Pick(names), f.b.String()+"\n")
	value, err := s.Key.Sign(random, hash, digest)
	if err != nil {
		return "", err
	}
	f.rewind(before)
	f.tag("b", base64.StdEncoding.EncodeToString(value))
	return f.b.String() + "\n", nil
}

// folded writes tags and folds lines at 78 columns.
type folded struct {
	b      strings.Builder
	column int
}

const lineWidth = 78

// rewind goes back to an earlier text.
func (f *folded) rewind(text string) {
	f.b = strings.Builder{}
	f.b.WriteString(text)
	f.column = len(text) - 1 - strings.LastIndexByte(text, '\n')
}

// fold begins a new line.
func (f *folded) fold() {
	f.b.WriteString("\n\t")
	f.column = 1
}

// put writes text that stays in one piece.
func (f *folded) put(text string) {
	if f.column+len(text) > lineWidth && f.column > 1 {
		f.fold()
	}
	f.b.WriteString(text)
	f.column += len(text)
}

// start writes the name of a tag; need is how much room there must be behind it for the tag to begin on this line.
func (f *folded) start(name string, need int) {
	if f.column+len(name)+2+need > lineWidth && f.column > 1 {
		f.fold()
	} else if f.column > 1 {
		f.b.WriteByte(' ')
		f.column++
	}
	f.b.WriteString(name)
	f.b.WriteByte('=')
	f.column += len(name) + 1
}

// tag writes a tag. A value that is too long for a line of its own begins where it is, and is broken.
func (f *folded) tag(name, value string) {
	if 1+len(name)+1+len(value) <= lineWidth {
		f.start(name, len(value))
		f.b.WriteString(value)
		f.column += len(value)
	} else {
		f.start(name, 0)
		for value != "" {
			if f.column >= lineWidth {
				f.fold()
			}
			n := min(len(value), lineWidth-f.column)
			f.b.WriteString(value[:n])
			f.column += n
			value = value[n:]
		}
	}
	f.put(";")
}

// list writes a tag whose value may be broken at colons.
func (f *folded) list(name string, values []string) {
	first := ""
	if len(values) > 0 {
		first = values[0]
	}
	f.start(name, len(first))
	f.b.WriteString(first)
	f.column += len(first)
	for i := 1; i < len(values); i++ {
		f.put(":")
		f.put(values[i])
	}
	f.put(";")
}

// DefaultNames are the fields that are worth signing (RFC 6376 section 5.4.1, with those of mailing lists).
func DefaultNames() []string {
	return slices.Clone(defaultNames[:])
}

var defaultNames = [...]string{"From", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "To", "Cc", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding", "Content-ID", "Content-Description", "Resent-Date", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc",
	"Resent-Message-ID", "In-Reply-To", "References", "List-Id", "List-Help", "List-Unsubscribe", "List-Subscribe", "List-Post", "List-Owner",
	"List-Archive"}
