package dmarc

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Record is a DMARC policy record (RFC 9989 section 4.7, RFC 7489 section 6.3).
type Record struct {
	// Text is the record as published.
	Text string
	// Policy is p=, Subdomain sp= and NonExistent np=, the latter two empty when they are not there.
	Policy, Subdomain, NonExistent Policy
	// StrictDKIM and StrictSPF are adkim=s and aspf=s.
	StrictDKIM, StrictSPF bool
	// Percent is pct= (RFC 7489), 100 when absent; Testing is t=y (RFC 9989).
	Percent int
	Testing bool
	// FailureOptions are the letters of fo=, "0" when absent; Interval is ri= in seconds, 86400 when absent; Formats are rf='s.
	FailureOptions string
	Interval       int
	Formats        []string
	// Aggregate and Failure are rua= and ruf=.
	Aggregate, Failure []URI
	// Suffix is psd=: 'y', 'n', or 'u'.
	Suffix byte
}

// URI is a destination of reports.
type URI struct {
	// Text is the URI without size limit.
	Text string
	// Limit is the greatest size of a report in bytes, 0 for none.
	Limit int64
}

// String returns the URI as it stands in a record, with its limit.
func (u URI) String() string {
	if u.Limit == 0 {
		return u.Text
	}
	n, unit := u.Limit, ""
	for _, next := range []string{"k", "m", "g", "t"} {
		if n%1024 != 0 {
			break
		}
		n, unit = n/1024, next
	}
	return u.Text + "!" + strconv.FormatInt(n, 10) + unit
}

// Mailbox returns the address of a mailto: URI, "" for other kinds and for malformed addresses.
func (u URI) Mailbox() string {
	const scheme = "mailto:"
	if len(u.Text) < len(scheme) || !strings.EqualFold(u.Text[:len(scheme)], scheme) {
		return ""
	}
	text, _, _ := strings.Cut(u.Text[len(scheme):], "?")
	address, ok := unescape(text)
	at := strings.LastIndexByte(address, '@')
	if !ok || at < 1 || len(address) > 320 || Domain(address[at+1:]) == "" || strings.ContainsAny(address[:at], " \t\"<>()[],;:\\@") {
		return ""
	}
	return address
}

// unescape undoes percent encoding (RFC 3986 section 2.1). Control characters are not let in.
func unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", false
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			c, i = byte(n), i+2
		}
		if c <= ' ' || c >= 0x7f {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// Errors of Parse.
var (
	// ErrNotDMARC: the text is something else than a DMARC record.
	ErrNotDMARC = errors.New("not a DMARC record")
	// ErrPolicy: the policy is missing or malformed, and nobody is named to whom reports could go (RFC 9989 section 4.10.1).
	ErrPolicy = errors.New("no valid policy in the DMARC record")
)

// Limits on what is taken of a record.
const (
	maxRecord = 8192
	maxTags   = 64
	maxURIs   = 10
)

// IsRecord tells whether a TXT record is meant to be a DMARC record: it begins with "v=DMARC1", with optional white space around the equals
// sign, and with nothing or a semicolon behind it.
func IsRecord(text string) bool {
	rest, ok := strings.CutPrefix(trim(text), "v")
	if !ok {
		return false
	}
	if rest, ok = strings.CutPrefix(trim(rest), "="); !ok {
		return false
	}
	if rest, ok = strings.CutPrefix(trim(rest), "DMARC1"); !ok {
		return false
	}
	rest = trim(rest)
	return rest == "" || rest[0] == ';'
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// Parse reads a record. Unknown tags, and known ones with malformed values, count as absent. With ErrPolicy the other tags are valid.
func Parse(text string) (*Record, error) {
	if len(text) > maxRecord || !IsRecord(text) {
		return nil, ErrNotDMARC
	}
	r := &Record{Text: text, Percent: 100, FailureOptions: "0", Interval: 86400, Suffix: 'u'}
	seen := make(map[string]bool)
	valid := true
	for i, tag := range strings.Split(text, ";") {
		name, value, ok := strings.Cut(tag, "=")
		name, value = strings.ToLower(trim(name)), trim(value)
		if !ok || i == 0 || i > maxTags || seen[name] {
			continue
		}
		seen[name] = true
		valid = r.set(name, value) && valid
	}
	if r.Policy == NoPolicy || !valid {
		if len(r.Aggregate) == 0 {
			return r, ErrPolicy
		}
		r.Policy, r.Subdomain, r.NonExistent = Monitor, NoPolicy, NoPolicy
	}
	return r, nil
}

// set takes over one tag; false says that it is a malformed policy.
func (r *Record) set(name, value string) bool {
	lower := strings.ToLower(value)
	switch name {
	case "p":
		return setPolicy(&r.Policy, lower)
	case "sp":
		return setPolicy(&r.Subdomain, lower)
	case "np":
		return setPolicy(&r.NonExistent, lower)
	case "adkim":
		r.StrictDKIM = lower == "s"
	case "aspf":
		r.StrictSPF = lower == "s"
	case "t":
		r.Testing = lower == "y"
	case "psd":
		if lower == "y" || lower == "n" {
			r.Suffix = lower[0]
		}
	case "pct":
		if n, ok := number(value); ok && n <= 100 {
			r.Percent = n
		}
	case "ri":
		if n, ok := number(value); ok {
			r.Interval = n
		}
	case "fo":
		if letters := failureOptions(lower); letters != "" {
			r.FailureOptions = letters
		}
	case "rf":
		for _, word := range strings.Split(lower, ":") {
			r.Formats = append(r.Formats, trim(word))
		}
	case "rua":
		r.Aggregate = destinations(value)
	case "ruf":
		r.Failure = destinations(value)
	}
	return true
}

func setPolicy(to *Policy, value string) bool {
	switch p := Policy(value); p {
	case Monitor, Quarantine, Reject:
		*to = p
		return true
	}
	return false
}

// number reads digits alone.
func number(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil
}

func failureOptions(text string) string {
	var b strings.Builder
	for _, word := range strings.Split(text, ":") {
		switch word = trim(word); word {
		case "0", "1", "d", "s":
			if !strings.Contains(b.String(), word) {
				b.WriteString(word)
			}
		}
	}
	return b.String()
}

// destinations reads a list of URIs, each perhaps with a size limit behind an exclamation mark.
func destinations(text string) (list []URI) {
	for _, item := range strings.Split(text, ",") {
		u := URI{Text: trim(item)}
		if i := strings.LastIndexByte(u.Text, '!'); i >= 0 {
			limit, ok := size(u.Text[i+1:])
			if !ok {
				continue
			}
			u.Text, u.Limit = u.Text[:i], limit
		}
		colon := strings.IndexByte(u.Text, ':')
		if colon < 1 || colon == len(u.Text)-1 || strings.IndexFunc(u.Text, func(c rune) bool { return c <= ' ' || c >= 0x7f }) >= 0 {
			continue
		}
		if list = append(list, u); len(list) == maxURIs {
			break
		}
	}
	return list
}

// size reads a size with k, m, g or t (RFC 7489 section 6.4).
func size(text string) (int64, bool) {
	if text == "" {
		return 0, false
	}
	unit := int64(1)
	if i := strings.IndexByte("kmgt", text[len(text)-1]|0x20); i >= 0 {
		unit, text = 1<<(10*(i+1)), text[:len(text)-1]
	}
	n, err := strconv.ParseUint(text, 10, 62)
	if err != nil || int64(n) > math.MaxInt64/unit {
		return 0, false
	}
	return int64(n) * unit, true
}
