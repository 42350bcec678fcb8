package option

import (
	"strconv"
	"strings"
	"time"
)

// Format writes the setting of a field as -bP does, with the name: "name = value", "no_name". ok is false for types
// whose text only the reader knows ([]string, UserID and their like).
func Format(name string, field any) (line string, ok bool) {
	switch f := field.(type) {
	case *bool:
		return formatBool(name, *f), true
	case **bool:
		return formatBool(name, *f != nil && **f), true
	case *ExpandedBool:
		if f.Text == "" {
			return formatBool(name, f.Value), true
		}
		return formatText(name, string(f.Text)), true
	case **Fixed:
		if *f == nil {
			return name + " =", true
		}
	case *ExpandedTime:
		if f.Text != "" {
			return formatText(name, string(f.Text)), true
		}
		return name + " = " + FormatTime(f.Value), true
	}
	text, ok := Text(field)
	if !ok {
		return "", false
	}
	return formatText(name, text), true
}

func formatBool(name string, v bool) string {
	if v {
		return name
	}
	return "no_" + name
}

func formatText(name, text string) string { return name + " = " + Printing(text) }

// Text returns a field's value as an administrator would write it, without quoting. ok as for Format.
func Text(field any) (text string, ok bool) {
	switch f := field.(type) {
	case *int:
		return strconv.Itoa(*f), true
	case *Size:
		return FormatSize(int64(*f)), true
	case *KSize:
		return FormatKSize(*f), true
	case *Octal:
		if *f == 0 {
			return "0", true
		}
		return "0" + strconv.FormatUint(uint64(*f), 8), true
	case *Fixed:
		return FormatFixed(*f), true
	case **Fixed:
		if *f == nil {
			return "", true
		}
		return FormatFixed(**f), true
	case *time.Duration:
		return FormatTime(*f), true
	case *Times:
		items := make([]string, len(*f))
		for i, d := range *f {
			items[i] = FormatTime(d)
		}
		return strings.Join(items, ":"), true
	}
	return plainText(field)
}

func plainText(field any) (string, bool) {
	switch f := field.(type) {
	case *string:
		return *f, true
	case *Expanded:
		return string(*f), true
	case *StringList:
		return string(*f), true
	case *DomainList:
		return string(*f), true
	case *HostList:
		return string(*f), true
	case *AddressList:
		return string(*f), true
	case *LocalPartList:
		return string(*f), true
	case *ExpandedInt:
		return string(*f), true
	}
	return "", false
}

// FormatSize writes a number with K or M where it is a multiple of 1024 or 1024*1024.
func FormatSize(v int64) string {
	switch {
	case v == 0:
		return "0"
	case v&(1<<20-1) == 0:
		return strconv.FormatInt(v>>20, 10) + "M"
	case v&(1<<10-1) == 0:
		return strconv.FormatInt(v>>10, 10) + "K"
	}
	return strconv.FormatInt(v, 10)
}

// FormatKSize writes an amount of disk space with K, M or G.
func FormatKSize(v KSize) string {
	k := int64(v) >> 10
	switch {
	case k == 0:
		return "0"
	case k&(1<<20-1) == 0:
		return strconv.FormatInt(k>>20, 10) + "G"
	case k&(1<<10-1) == 0:
		return strconv.FormatInt(k>>10, 10) + "M"
	}
	return strconv.FormatInt(k, 10) + "K"
}

// FormatFixed writes a fixed-point number with at least one digit after the point.
func FormatFixed(v Fixed) string {
	frac := strconv.Itoa(int(v)%1000 + 1000)[1:]
	for len(frac) > 1 && frac[len(frac)-1] == '0' {
		frac = frac[:len(frac)-1]
	}
	return strconv.Itoa(int(v)/1000) + "." + frac
}

// Printing replaces characters that do not print by escapes: \n, \t and their like, else three octal digits. Backslashes stay.
func Printing(s string) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= ' ' && s[i] < 0x7f
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if j := strings.IndexByte("\n\r\t\b\v\f", c); j >= 0 {
			b.WriteByte('\\')
			b.WriteByte("nrtbvf"[j])
		} else if c < ' ' || c >= 0x7f {
			b.WriteByte('\\')
			b.WriteString(strconv.FormatUint(uint64(c)+0o1000, 8)[1:])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
