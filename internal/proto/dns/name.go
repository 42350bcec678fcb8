package dns

import (
	"strings"

	mdns "github.com/miekg/dns"
)

// wireName makes the form in which the DNS library takes a name, with a final dot and special bytes escaped. ok is false for a name that
// cannot be asked for: a label of more than 63 bytes, none, or more than 253 in all.
func wireName(name string) (wire string, ok bool) {
	if name == "" {
		return ".", true
	}
	if len(name) > maxName {
		return "", false
	}
	special := false
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return "", false
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			special = special || c <= ' ' || c >= 0x7f || strings.IndexByte(`\"();@$`, c) >= 0
		}
	}
	if !special {
		return name + ".", true
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c > ' ' && c < 0x7f && strings.IndexByte(`\"();@$`, c) < 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'\\', '0' + c/100, '0' + c/10%10, '0' + c%10})
	}
	b.WriteByte('.')
	_, ok = mdns.IsDomainName(b.String())
	return b.String(), ok
}

// Name makes a name of the DNS library's form an ordinary one: lower case, without final dot. Escapes stay where they hide a byte that
// is not printable, or a dot inside a label.
func Name(wire string) string {
	name := strings.ToLower(strings.TrimSuffix(wire, "."))
	if !strings.Contains(name, `\`) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c, n := escape(name[i:])
		if n > 1 && (c <= ' ' || c == 0x7f || c == '.' || c == '\\') {
			b.WriteString(name[i : i+n])
		} else {
			b.WriteByte(c)
		}
		i += n - 1
	}
	return b.String()
}

// Text makes the bytes of a character string of the DNS library's form, in which bytes may be written \DDD or \X.
func Text(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, n := escape(s[i:])
		b.WriteByte(c)
		i += n - 1
	}
	return b.String()
}

// escape returns the first byte of s, which may be written with a backslash, and how long that is.
func escape(s string) (c byte, n int) {
	if s[0] != '\\' || len(s) == 1 {
		return s[0], 1
	}
	if len(s) >= 4 && isDigit(s[1]) && isDigit(s[2]) && isDigit(s[3]) {
		if v := int(s[1]-'0')*100 + int(s[2]-'0')*10 + int(s[3]-'0'); v < 256 {
			return byte(v), 4
		}
	}
	return s[1], 2
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
