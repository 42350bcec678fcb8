package proxyhdr

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func v2(command, family byte, body string, tlv string) string {
	n := len(body) + len(tlv)
	return signature + string([]byte{0x20 | command, family, byte(n >> 8), byte(n)}) + body + tlv
}

func TestRead(t *testing.T) {
	inet := "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\xd2\x00\x19"
	inet6 := "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x02" + "\x04\xd2\x00\x19"
	for _, row := range []struct {
		name, in string
		want     string // "source>destination", "local", or the start of the error
	}{
		{"v1 tcp4", "PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\r\n", "192.0.2.1:1234>198.51.100.2:25"},
		{"v1 tcp6", "PROXY TCP6 2001:db8::1 2001:db8::2 1234 25\r\n", "[2001:db8::1]:1234>[2001:db8::2]:25"},
		{"v1 longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n",
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535>[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535"},
		{"v1 unknown", "PROXY UNKNOWN\r\n", "local"},
		{"v1 unknown long", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "local"},
		{"v1 family", "PROXY TCP4 2001:db8::1 2001:db8::2 1234 25\r\n", "malformed"},
		{"v1 mapped", "PROXY TCP4 ::ffff:1.2.3.4 ::ffff:1.2.3.4 1234 25\r\n", "malformed"},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 fe80::2 1234 25\r\n", "malformed"},
		{"v1 port", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n", "malformed"},
		{"v1 port sign", "PROXY TCP4 192.0.2.1 198.51.100.2 +1 25\r\n", "malformed"},
		{"v1 port zero", "PROXY TCP4 192.0.2.1 198.51.100.2 01 25\r\n", "malformed"},
		{"v1 no port", "PROXY TCP4 192.0.2.1 198.51.100.2  \r\n", "malformed"},
		{"v1 words", "PROXY TCP4 192.0.2.1 198.51.100.2 1234\r\n", "malformed"},
		{"v1 spaces", "PROXY  TCP4 192.0.2.1 198.51.100.2 1234 25\r\n", "malformed"},
		{"v1 LF", "PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\n", "malformed"},
		{"v1 short", "PROXY TCP4\r\n", "malformed"},
		{"v1 long", "PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", "malformed"},
		{"v1 cut", "PROXY TCP4 192.0.2.1 198", "unexpected EOF"},
		{"v2 tcp4", v2(1, 0x11, inet, ""), "192.0.2.1:1234>198.51.100.2:25"},
		{"v2 tcp4 tlv", v2(1, 0x11, inet, "\x04\x00\x02ab"), "192.0.2.1:1234>198.51.100.2:25"},
		{"v2 tcp6", v2(1, 0x21, inet6, ""), "[2001:db8::1]:1234>[2001:db8::2]:25"},
		{"v2 local", v2(0, 0x11, inet, ""), "local"},
		{"v2 local empty", v2(0, 0, "", ""), "local"},
		{"v2 unspec", v2(1, 0, "", ""), "local"},
		{"v2 udp", v2(1, 0x12, inet, ""), "local"},
		{"v2 unix", v2(1, 0x31, strings.Repeat("x", 216), ""), "local"},
		{"v2 addresses", v2(1, 0x21, inet, ""), "malformed"},
		{"v2 command", v2(2, 0x11, inet, ""), "malformed"},
		{"v2 protocol", v2(1, 0x13, inet, ""), "malformed"},
		{"v2 version", signature + "\x11\x11\x00\x00", "malformed"},
		{"v2 long", v2(1, 0x11, inet, strings.Repeat("x", 60000)), "192.0.2.1:1234>198.51.100.2:25"},
		{"v2 cut in TLVs", v2(1, 0x11, inet, strings.Repeat("x", 60000))[:1000], "unexpected EOF"},
		{"v2 cut", v2(1, 0x11, inet, "")[:20], "unexpected EOF"},
		{"smtp", "EHLO client.example\r\n", "malformed"},
		{"empty", "", "EOF"},
		{"short", "PROXY", "unexpected EOF"},
	} {
		r := strings.NewReader(row.in + "EHLO")
		if strings.Contains(row.want, "EOF") {
			r = strings.NewReader(row.in)
		}
		h, err := Read(r)
		got := h.Source.String() + ">" + h.Destination.String()
		switch {
		case err != nil:
			got = err.Error()
		case h.Local:
			got = "local"
		}
		if !strings.HasPrefix(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
		if rest, _ := io.ReadAll(r); err == nil && string(rest) != "EHLO" {
			t.Errorf("%s: %q left", row.name, rest)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\r\n"))
	f.Add([]byte(v2(1, 0x11, "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\xd2\x00\x19", "\x04\x00\x01a")))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Read(bytes.NewReader(b))
		if err == nil && !h.Local && (!h.Source.IsValid() || !h.Destination.IsValid()) {
			t.Errorf("%q: invalid addresses %v", b, h)
		}
		if err != nil && !errors.Is(err, ErrMalformed) && err != io.EOF && err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", b, err)
		}
	})
}
