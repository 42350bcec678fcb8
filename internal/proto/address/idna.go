package address

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"exigo/internal/proto/punycode"
)

// Errors of DomainToASCII and of the conversions of local parts; the texts are those of the IDN library in common use.
var (
	ErrIDNA        = errors.New("string contains a disallowed character")
	ErrIDNAHyphen  = errors.New("string start/ends with forbidden hyphen")
	ErrIDNAHyphens = errors.New("string contains forbidden two hyphens pattern")
	ErrIDNAUTF8    = errors.New("string encoding error")
	ErrIDNATooLong = errors.New("domain label longer than 63 characters")
	ErrPrefix      = errors.New("bad alabel prefix")
	ErrPunycode    = errors.New("string contains invalid punycode data")
)

// IsASCII reports whether s has no byte above 127.
func IsASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lookupProfile is IDNA 2008 as UTS 46 has it, non-transitional, for names that may have underscores.
func lookupProfile() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false), idna.BidiRule())
}

// DomainToASCII converts the labels of a domain that have other than ASCII characters to A-labels (RFC 5890). Plain ASCII names,
// well-formed or not, are returned unchanged.
func DomainToASCII(domain string) (string, error) {
	if IsASCII(domain) {
		return domain, nil
	}
	if !utf8.ValidString(domain) {
		return "", ErrIDNAUTF8
	}
	for _, label := range strings.FieldsFunc(domain, func(r rune) bool { return r == '.' || r == '。' }) {
		switch {
		case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
			return "", ErrIDNAHyphen
		case len(label) > 3 && label[2:4] == "--" && !strings.EqualFold(label[:2], "xn"):
			return "", ErrIDNAHyphens
		}
	}
	profile := lookupProfile()
	ascii, err := profile.ToASCII(domain)
	if err != nil {
		return "", ErrIDNA
	}
	if u, err := profile.ToUnicode(ascii); err != nil || strings.ContainsFunc(u, disallowed) {
		return "", ErrIDNA
	}
	for _, label := range strings.Split(ascii, ".") {
		if len(label) > 63 {
			return "", ErrIDNATooLong
		}
	}
	return ascii, nil
}

// disallowed reports whether IDNA 2008 has no place for a character although UTS 46 does: RFC 5892 section 2 allows letters, marks
// and digits, with the exceptions of section 2.6 and the joiners of section 2.8.
func disallowed(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return false
	case r == 0x0640, r == 0x07fa, r == 0x302e, r == 0x302f, r >= 0x3031 && r <= 0x3035, r == 0x303b:
		return true
	case r == 0x00b7, r == 0x0375, r == 0x05f3, r == 0x05f4, r == 0x06fd, r == 0x06fe, r == 0x0f0b, r == 0x3007, r == 0x30fb, r == 0x200c, r == 0x200d:
		return false
	}
	return !unicode.In(r, unicode.Ll, unicode.Lo, unicode.Lm, unicode.Mn, unicode.Mc, unicode.Nd)
}

// DomainToUnicode converts the A-labels of a domain to Unicode. Labels that are no valid A-labels stay as they are.
func DomainToUnicode(domain string) string {
	if !strings.Contains(strings.ToLower(domain), "xn--") {
		return domain
	}
	labels := strings.Split(domain, ".")
	for i, label := range labels {
		if u, err := lookupProfile().ToUnicode(label); err == nil {
			labels[i] = u
		}
	}
	return strings.Join(labels, ".")
}

const alabelPrefix = "xn--"

// LocalPartToASCII encodes a local part that has other than ASCII characters with Punycode after "xn--". There is no standard for
// it; it is for paths to servers without SMTPUTF8 whose users have such addresses as aliases.
func LocalPartToASCII(local string) (string, error) {
	if IsASCII(local) {
		return local, nil
	}
	if !utf8.ValidString(local) {
		return "", ErrIDNAUTF8
	}
	encoded, ok := punycode.Encode(local)
	if !ok {
		return "", ErrPunycode
	}
	return alabelPrefix + encoded, nil
}

// LocalPartToUnicode reverses LocalPartToASCII; ErrPrefix for a text without "xn--".
func LocalPartToUnicode(local string) (string, error) {
	rest, ok := strings.CutPrefix(local, alabelPrefix)
	if !ok {
		return "", ErrPrefix
	}
	decoded, ok := punycode.Decode(rest)
	if !ok {
		return "", ErrPunycode
	}
	return decoded, nil
}
