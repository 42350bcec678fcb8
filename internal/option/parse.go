package option

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// TypeName names the type of an option's field as the reference and options.tsv do.
func TypeName(field any) string {
	switch field.(type) {
	case *bool, **bool:
		return "boolean"
	case *int, *Size, *KSize:
		return "integer"
	case *Octal:
		return "octal integer"
	case *Fixed, **Fixed:
		return "fixed-point"
	case *ExpandedTime:
		return "time*"
	case *UserList, *GroupList:
		return "string list*"
	case *time.Duration:
		return "time"
	case *Times:
		return "time list"
	case *string:
		return "string"
	case *Expanded:
		return "string*"
	case *[]string:
		return "string list"
	case *StringList:
		return "string list*"
	case *DomainList:
		return "domain list*"
	case *HostList:
		return "host list*"
	case *AddressList:
		return "address list*"
	case *LocalPartList:
		return "local part list*"
	case *ExpandedBool:
		return "boolean*"
	case *ExpandedInt:
		return "integer*"
	case *UserID, *GroupID:
		return "string*"
	}
	return fmt.Sprintf("%T", field)
}

// Parse sets the field (a pointer that Row.Field returned) from the text of a setting, already unquoted.
// Errors have no file and line; the reader adds them.
func Parse(field any, text string) error {
	switch f := field.(type) {
	case *bool:
		v, err := ParseBool(text)
		*f = v
		return err
	case **bool:
		v, err := ParseBool(text)
		*f = &v
		return err
	case *int:
		v, err := ParseInt(text)
		*f = int(v)
		return err
	case *Size:
		v, err := ParseInt(text)
		*f = Size(v)
		return err
	case *KSize:
		v, err := ParseKSize(text)
		*f = v
		return err
	case *Octal:
		v, err := strconv.ParseUint(text, 8, 32)
		if err != nil {
			return fmt.Errorf("extra characters follow integer value or value is not octal")
		}
		*f = Octal(v)
	case *Fixed:
		v, err := ParseFixed(text)
		*f = v
		return err
	case **Fixed:
		v, err := ParseFixed(text)
		*f = &v
		return err
	case *time.Duration:
		v, ok := ParseTime(text)
		if !ok {
			return fmt.Errorf("invalid time value")
		}
		*f = v
	case *Times:
		v, err := parseTimes(text)
		*f = v
		return err
	default:
		return parseComposite(field, text)
	}
	return nil
}

// parseComposite sets lists, and values that may be expansions.
func parseComposite(field any, text string) error {
	switch f := field.(type) {
	case *[]string:
		*f = SplitList(text)
	case *ExpandedTime:
		if v, ok := ParseTime(text); ok {
			*f = ExpandedTime{Value: v}
		} else if strings.Contains(text, "$") {
			*f = ExpandedTime{Text: Expanded(text)}
		} else {
			return fmt.Errorf("invalid time value")
		}
	case *ExpandedBool:
		if v, err := ParseBool(text); err == nil {
			*f = ExpandedBool{Value: v}
		} else if strings.Contains(text, "$") {
			*f = ExpandedBool{Text: Expanded(text)}
		} else {
			return err
		}
	default:
		return parseText(field, text)
	}
	return nil
}

func parseText(field any, text string) error {
	switch f := field.(type) {
	case *string:
		*f = text
	case *Expanded:
		*f = Expanded(text)
	case *StringList:
		*f = StringList(text)
	case *DomainList:
		*f = DomainList(text)
	case *HostList:
		*f = HostList(text)
	case *AddressList:
		*f = AddressList(text)
	case *LocalPartList:
		*f = LocalPartList(text)
	case *ExpandedInt:
		*f = ExpandedInt(text)
	case *UserID:
		*f = UserID(text)
	case *GroupID:
		*f = GroupID(text)
	case *UserList:
		*f = UserList{Text: text}
	case *GroupList:
		*f = GroupList{Text: text}
	default:
		return fmt.Errorf("option type %T is not known", field)
	}
	return nil
}

// ParseBool reads yes, no, true and false without regard to case.
func ParseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "yes", "true":
		return true, nil
	case "no", "false":
		return false, nil
	}
	return false, fmt.Errorf("\"%s\" is not a valid value for the option", text)
}

// ParseInt reads an integer: decimal, octal after 0, hexadecimal after 0x; K, M, G and T multiply by powers of 1024.
func ParseInt(text string) (int64, error) {
	text = strings.TrimSpace(text)
	digits, shift := text, 0
	if n := len(text); n > 0 {
		switch text[n-1] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		case 't', 'T':
			shift = 40
		}
		if shift != 0 {
			digits = text[:n-1]
		}
	}
	v, err := strconv.ParseInt(digits, 0, 64)
	if err != nil || strings.ContainsAny(digits, "_bBoO") && !strings.HasPrefix(strings.ToLower(digits), "0x") {
		if ne, ok := err.(*strconv.NumError); ok && ne.Err == strconv.ErrRange {
			return 0, fmt.Errorf("absolute value of integer \"%s\" is too large (overflow)", text)
		}
		return 0, fmt.Errorf("integer expected")
	}
	if v > math.MaxInt64>>shift || v < math.MinInt64>>shift {
		return 0, fmt.Errorf("absolute value of integer \"%s\" is too large (overflow)", text)
	}
	return v << shift, nil
}

// ParseKSize reads an amount of disk space: a number counts units of 1024 unless K, M or G follows.
func ParseKSize(text string) (KSize, error) {
	if n := len(text); n > 0 && text[n-1] >= '0' && text[n-1] <= '9' {
		text += "K"
	}
	v, err := ParseInt(text)
	return KSize(v &^ 1023), err
}

// ParseFixed reads a decimal number with up to three digits after the point, in thousandths.
func ParseFixed(text string) (Fixed, error) {
	whole, frac, _ := strings.Cut(text, ".")
	w, err := strconv.Atoi(whole)
	if err != nil || len(frac) > 3 || w > math.MaxInt32/1000 {
		return 0, fmt.Errorf("fixed-point number expected")
	}
	f := 0
	if frac != "" {
		if f, err = strconv.Atoi((frac + "00")[:3]); err != nil {
			return 0, fmt.Errorf("fixed-point number expected")
		}
	}
	return Fixed(w*1000 + f), nil
}

// ParseTime reads Exim's time interval (spec 6.17): numbers with w, d, h, m or s; a last number without
// a letter is refused. ok is false for anything else.
func ParseTime(text string) (d time.Duration, ok bool) {
	units := map[byte]time.Duration{'w': 7 * 24 * time.Hour, 'd': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second}
	if text == "" {
		return 0, false
	}
	for len(text) > 0 {
		i := 0
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		if i == 0 || i > 12 || i == len(text) {
			return 0, false
		}
		unit, known := units[text[i]]
		if !known {
			return 0, false
		}
		n, _ := strconv.ParseInt(text[:i], 10, 64)
		if n > int64(math.MaxInt64/unit) {
			return 0, false
		}
		d += time.Duration(n) * unit
		if d < 0 {
			return 0, false
		}
		text = text[i+1:]
	}
	return d, true
}

// FormatTime writes a duration as Exim does: 1w2d3h4m5s, "0s" for nothing.
func FormatTime(d time.Duration) string {
	sec := int64(d / time.Second)
	if sec == 0 {
		return "0s"
	}
	var b strings.Builder
	if sec < 0 {
		b.WriteByte('-')
		sec = -sec
	}
	for _, u := range []struct {
		n int64
		c byte
	}{{7 * 86400, 'w'}, {86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}} {
		if sec >= u.n {
			b.WriteString(strconv.FormatInt(sec/u.n, 10))
			b.WriteByte(u.c)
			sec %= u.n
		}
	}
	return b.String()
}

func parseTimes(text string) (Times, error) {
	var out Times
	for _, item := range SplitList(text) {
		d, ok := ParseTime(item)
		if !ok {
			return nil, fmt.Errorf("invalid time value")
		}
		out = append(out, d)
	}
	return out, nil
}

// SplitList splits an Exim list (spec 6.20 to 6.22): colon-separated, or by another character after "<c"; a doubled
// separator is the character itself, unless it is a control character; white space around items is dropped; one empty item at
// the end is none.
func SplitList(text string) []string {
	sep, white := byte(':'), " \t\r\n"
	text = strings.TrimLeft(text, white)
	if len(text) > 1 && text[0] == '<' && isPunctuation(text[1]) {
		sep = text[1]
		text = text[2:]
		white = strings.ReplaceAll(white, string(sep), "")
	}
	var items []string
	for {
		text = strings.TrimLeft(text, white)
		if text == "" {
			return items
		}
		item, rest, more := cutItem(text, sep)
		items = append(items, strings.TrimRight(item, white))
		if !more {
			return items
		}
		text = rest
	}
}

// cutItem takes text up to the separator; doubled separators become one.
func cutItem(text string, sep byte) (item, rest string, more bool) {
	i := strings.IndexByte(text, sep)
	if i < 0 {
		return text, "", false
	}
	if sep < ' ' || sep == 0x7f || i+1 >= len(text) || text[i+1] != sep {
		return text[:i], text[i+1:], true
	}
	var b strings.Builder
	for i = 0; i < len(text); i++ {
		if text[i] == sep {
			if i+1 >= len(text) || text[i+1] != sep {
				return b.String(), text[i+1:], true
			}
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String(), "", false
}

func isPunctuation(c byte) bool {
	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') || c < ' ' && c > 0 || c == 0x7f
}
