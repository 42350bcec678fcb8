package builtin

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"exigo/internal/expand"
)

// networkOperators work on IP addresses.
func networkOperators() []expand.Operator {
	address := func(name, doc string, change func(netip.Addr) string, examples ...expand.Example) expand.Operator {
		return expand.Operator{Name: name, Doc: doc, Examples: examples, Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
			a, ok := expand.ParseAddress(subject.S)
			if !ok {
				return expand.Value{}, expand.Fail("\"%s\" is not an IP address", subject.S)
			}
			subject.S = change(a)
			return subject, nil
		}}
	}
	return []expand.Operator{
		{
			Name: "mask", Doc: "Masks an address: address/bits; mask_n writes IPv6 in its short form.", Underscore: true, Apply: applyMask,
			Examples: []expand.Example{
				{In: `${mask:10.111.131.206/28}`, Out: "10.111.131.192/28"},
				{In: `${mask:3ffe:ffff:836f:0a00:000a:0800:200a:c031/99}`, Out: "3ffe.ffff.836f.0a00.000a.0800.2000.0000/99"},
				{In: `${mask_n:3ffe:ffff:836f:0a00:000a:0800:200a:c031/99}`, Out: "3ffe:ffff:836f:a00:a:800:2000::/99"},
				{In: `${mask:10.1.2.3}`, Err: `missing mask value in "10.1.2.3"`}, {In: `${mask:10.1.2/8}`, Err: `"10.1.2/8" is not an IP address`},
			},
		},
		address("ipv6norm", "Writes an IPv6 address in its short form.", normalIPv6,
			expand.Example{In: `${ipv6norm:2001:0db8:0:0::1}`, Out: "2001:db8::1"}, expand.Example{In: `${ipv6norm:1.2.3.4}`, Out: "::ffff:102:304"},
			expand.Example{In: `${ipv6norm:2001:db8:0:1:1:1:1:1}`, Out: "2001:db8::1:1:1:1:1"}),
		address("ipv6denorm", "Writes an IPv6 address in full.", func(a netip.Addr) string { return fullIPv6(a, ":") },
			expand.Example{In: `${ipv6denorm:::1}`, Out: "0000:0000:0000:0000:0000:0000:0000:0001"}),
		{
			Name: "reverse_ip", Doc: "Writes an address backwards, as the DNS wants it.",
			Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
				text, mask, masked := strings.Cut(subject.S, "/") // a mask is ignored
				a, ok := expand.ParseAddress(text)
				if !ok || masked && strings.Trim(mask, "0123456789") != "" {
					return expand.Value{}, expand.Fail("reverse_ip() not given an IP address [%s]", subject.S)
				}
				subject.S = reverseIP(a.Unmap())
				return subject, nil
			},
			Examples: []expand.Example{
				{In: `${reverse_ip:192.0.2.4}`, Out: "4.2.0.192"},
				{In: `${reverse_ip:2001:0db8:c42:9:1:abcd:192.0.2.127}`, Out: "f.7.2.0.0.0.0.c.d.c.b.a.1.0.0.0.9.0.0.0.2.4.c.0.8.b.d.0.1.0.0.2"},
			},
		},
	}
}

func applyMask(s *expand.Scope, argument string, subject expand.Value) (expand.Value, error) {
	text, bits, ok := strings.Cut(subject.S, "/")
	a, err := netip.ParseAddr(text)
	if err == nil && !ok {
		return expand.Value{}, expand.Fail("missing mask value in \"%s\"", subject.S)
	}
	n, numberErr := strconv.Atoi(bits)
	if err != nil || a.Zone() != "" || numberErr != nil || n < 0 {
		return expand.Value{}, expand.Fail("\"%s\" is not an IP address", subject.S)
	}
	if n > a.BitLen() {
		return expand.Value{}, expand.Fail("mask value too big in \"%s\"", subject.S)
	}
	masked, err := a.Prefix(n)
	if err != nil {
		return expand.Value{}, expand.Fail("\"%s\" is not an IP address", subject.S)
	}
	a = masked.Addr()
	switch {
	case a.Is4():
		text = a.String()
	case strings.HasPrefix(argument, "n"):
		text = normalIPv6(a)
	default:
		text = fullIPv6(a, ".")
	}
	subject.S = text + "/" + strconv.Itoa(n)
	return subject, nil
}

// fullIPv6 writes all eight groups with four digits.
func fullIPv6(a netip.Addr, separator string) string {
	b := a.As16()
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = fmt.Sprintf("%02x%02x", b[2*i], b[2*i+1])
	}
	return strings.Join(groups, separator)
}

// normalIPv6 writes an address without leading zeros, the longest run of zero groups (of one, too) as a double colon, and no
// dotted form.
func normalIPv6(a netip.Addr) string {
	b := a.As16()
	var groups [8]uint16
	best, length := 0, 0
	for i, run := 0, 0; i < 8; i++ {
		groups[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		if run++; groups[i] != 0 {
			run = 0
		}
		if run > length {
			best, length = i+1-run, run
		}
	}
	var out []byte
	for i := 0; i < 8; i++ {
		if length > 0 && i == best {
			out = append(out, ':')
			if i == 0 {
				out = append(out, ':')
			}
			i += length - 1
			continue
		}
		out = strconv.AppendUint(out, uint64(groups[i]), 16)
		if i < 7 {
			out = append(out, ':')
		}
	}
	return string(out)
}

func reverseIP(a netip.Addr) string {
	if a.Is4() {
		b := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d", b[3], b[2], b[1], b[0])
	}
	b := a.As16()
	var out []byte
	for i := 15; i >= 0; i-- {
		const digits = "0123456789abcdef"
		out = append(out, digits[b[i]&15], '.', digits[b[i]>>4], '.')
	}
	return string(out[:len(out)-1])
}
