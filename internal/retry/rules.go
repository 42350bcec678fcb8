// Package retry is chapter 32 of the specification: rules that say when a delayed host or address is tried
// again, and the hints that remember what was delayed.
//
// Trust: rules are the administrator's; hints are our own and may be lost.
package retry

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"

	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// Rule is one line of the retry section.
type Rule struct {
	Pattern string
	// Error is the second field as it was written ("*" for any).
	Error string
	// Senders is the address list of senders=; HasSenders tells an empty list from none.
	Senders    string
	HasSenders bool
	Steps      []Step

	match failure
}

// Step is one parameter set: F,cutoff,interval or G/H,cutoff,interval,factor.
type Step struct {
	Letter   byte
	Cutoff   time.Duration
	Interval time.Duration
	// Factor is in thousandths.
	Factor option.Fixed
}

// failure is a parsed error name: what of an Outcome's numbers it wants.
type failure struct {
	errno    int // 0: any
	more     int // 0: any; 'A' or 'M'
	connect  bool
	digits   string // of x45 forms: "52", "5x"
	quotaAge time.Duration
	anyErrno bool
}

// Rules are the compiled retry section.
type Rules struct{ rules []Rule }

// Parse reads one rule. Errors are in Exim's words, without file and line.
func Parse(line string) (Rule, error) {
	var r Rule
	rest := line
	var err error
	if r.Pattern, rest, err = word(rest); err != nil {
		return r, err
	}
	if r.Error, rest, err = word(rest); err != nil {
		return r, err
	}
	if r.Error == "" {
		return r, fmt.Errorf("missing error type in retry rule")
	}
	if r.match, err = parseError(r.Error); err != nil {
		return r, err
	}
	if strings.HasPrefix(rest, "senders") {
		after := strings.TrimLeft(rest[len("senders"):], " \t")
		if !strings.HasPrefix(after, "=") {
			return r, fmt.Errorf("\"=\" expected after \"senders\" in retry rule")
		}
		r.HasSenders = true
		if r.Senders, rest, err = word(strings.TrimLeft(after[1:], " \t")); err != nil {
			return r, err
		}
	}
	r.Steps, err = parseSteps(rest)
	return r, err
}

// word takes a blank-separated or quoted word off the text.
func word(text string) (w, rest string, err error) {
	text = strings.TrimLeft(text, " \t\n")
	if strings.HasPrefix(text, "\"") {
		var b strings.Builder
		for i := 1; i < len(text); i++ {
			switch c := text[i]; {
			case c == '"':
				return b.String(), strings.TrimLeft(text[i+1:], " \t\n"), nil
			case c == '\\' && i+1 < len(text):
				i++
				b.WriteByte(unescape(text[i]))
			default:
				b.WriteByte(c)
			}
		}
		return "", "", fmt.Errorf("missing quote at end of string in retry rule")
	}
	i := strings.IndexAny(text, " \t\n")
	if i < 0 {
		return text, "", nil
	}
	return text[:i], strings.TrimLeft(text[i:], " \t\n"), nil
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	}
	return c
}

// errorNames are the names of spec 32.5 with what they match.
var errorNames = map[string]failure{
	"*":                  {anyErrno: true},
	"auth_failed":        {errno: mail.ErrnoAuthFail},
	"lost_connection":    {errno: mail.ErrnoSMTPClosed},
	"lookup":             {errno: mail.ErrnoUnknownHost},
	"refused":            {errno: int(syscall.ECONNREFUSED)},
	"refused_A":          {errno: int(syscall.ECONNREFUSED), more: mail.MoreA},
	"refused_MX":         {errno: int(syscall.ECONNREFUSED), more: mail.MoreMX},
	"timeout":            {errno: int(syscall.ETIMEDOUT)},
	"timeout_A":          {errno: int(syscall.ETIMEDOUT), more: mail.MoreA},
	"timeout_MX":         {errno: int(syscall.ETIMEDOUT), more: mail.MoreMX},
	"timeout_connect":    {errno: int(syscall.ETIMEDOUT), connect: true},
	"timeout_connect_A":  {errno: int(syscall.ETIMEDOUT), connect: true, more: mail.MoreA},
	"timeout_connect_MX": {errno: int(syscall.ETIMEDOUT), connect: true, more: mail.MoreMX},
	"timeout_DNS":        {errno: mail.ErrnoDNSDefer},
	"tls_required":       {errno: mail.ErrnoTLSRequired},
	"quota":              {errno: mail.ErrnoQuota},
}

func parseError(name string) (failure, error) {
	for known, f := range errorNames {
		if strings.EqualFold(known, name) {
			return f, nil
		}
	}
	lower := strings.ToLower(name)
	if age, ok := strings.CutPrefix(lower, "quota_"); ok {
		d, ok := option.ParseTime(age)
		if !ok {
			return failure{}, fmt.Errorf("bad time value")
		}
		return failure{errno: mail.ErrnoQuota, quotaAge: d}, nil
	}
	for prefix, errno := range map[string]int{"mail_4": mail.ErrnoMail4xx, "rcpt_4": mail.ErrnoRcpt4xx, "data_4": mail.ErrnoData4xx} {
		digits, ok := strings.CutPrefix(lower, prefix)
		if !ok {
			continue
		}
		if len(digits) != 2 || !strings.ContainsAny(digits[:1], "0123456789x") || !strings.ContainsAny(digits[1:], "0123456789x") ||
			digits[0] == 'x' && digits[1] != 'x' {
			return failure{}, fmt.Errorf("%s_4 must be followed by xx, dx, or dd, where x is literal and d is any digit", lower[:4])
		}
		return failure{errno: errno, digits: digits}, nil
	}
	return failure{}, fmt.Errorf("unknown or malformed retry error \"%s\"", name)
}

// parseSteps reads the parameter sets of a rule.
func parseSteps(text string) ([]Step, error) {
	var steps []Step
	for text = strings.TrimLeft(text, blanks); text != ""; text = strings.TrimLeft(text, blanks) {
		s := Step{Letter: text[0] &^ 0x20} // "f" is "F"
		if !strings.ContainsRune("FGH", rune(s.Letter)) {
			return nil, fmt.Errorf("unknown retry rule letter")
		}
		arguments := make([]string, 2, 3)
		if s.Letter != 'F' {
			arguments = arguments[:3]
		}
		text = text[1:]
		for i := range arguments {
			rest, ok := strings.CutPrefix(strings.TrimLeft(text, blanks), ",")
			if !ok {
				return nil, fmt.Errorf("comma expected")
			}
			rest = strings.TrimLeft(rest, blanks)
			end := strings.IndexAny(rest, ",;"+blanks)
			if end < 0 {
				end = len(rest)
			}
			arguments[i], text = rest[:end], rest[end:]
		}
		if !s.set(arguments) {
			return nil, fmt.Errorf("bad parameters for retry rule")
		}
		steps = append(steps, s)
		if text = strings.TrimLeft(text, blanks); text != "" && text[0] != ';' {
			return nil, fmt.Errorf("semicolon expected")
		}
		text = strings.TrimPrefix(text, ";")
	}
	return steps, nil
}

const blanks = " \t\n"

// set takes the arguments behind the letter; it tells whether they are good.
func (s *Step) set(arguments []string) bool {
	var ok1, ok2 bool
	s.Cutoff, ok1 = option.ParseTime(arguments[0])
	s.Interval, ok2 = option.ParseTime(arguments[1])
	if !ok1 || !ok2 || s.Cutoff <= 0 || s.Interval <= 0 {
		return false
	}
	if len(arguments) < 3 {
		return true
	}
	var err error
	s.Factor, err = option.ParseFixed(arguments[2])
	return err == nil && s.Factor >= 1000
}

// New makes Rules of parsed rules, in order.
func New(rules []Rule) *Rules { return &Rules{rules} }

// Empty tells that there are no rules at all: temporary errors are then permanent.
func (r *Rules) Empty() bool { return r == nil || len(r.rules) == 0 }

// Failure is what a rule is wanted for.
type Failure struct {
	// Key is the host's name, or the address or domain; Alternate the address's domain when Key is a host.
	Key, Alternate   string
	Errno, MoreErrno int
	// Any takes the first rule whose pattern fits, whatever its error (-brt without an error name).
	// Sender is the message's; SenderKnown false makes rules with senders= never match.
	Sender      string
	SenderKnown bool
}

// Find returns the first rule that fits, or nil. An error is a temporary failure of a lookup in a pattern.
func (r *Rules) Find(s *expand.Scope, f Failure) (*Rule, error) {
	if r == nil {
		return nil, nil
	}
	for i := range r.rules {
		rule := &r.rules[i]
		if !rule.match.fits(f.Errno, f.MoreErrno) {
			continue
		}
		if rule.HasSenders {
			if !f.SenderKnown {
				continue
			}
			m, err := list.Address(s, rule.Senders, f.Sender)
			if err != nil {
				return nil, err
			}
			if !m.Matched {
				continue
			}
		}
		ok, err := rule.matches(s, f.Key)
		if err == nil && !ok && f.Alternate != "" {
			ok, err = rule.matches(s, f.Alternate)
		}
		if ok || err != nil {
			return rule, err
		}
	}
	return nil, nil
}

// matches tests the pattern as an address list of one item (spec 32.3): a bare domain stands for *@domain.
func (r *Rule) matches(s *expand.Scope, key string) (bool, error) {
	if !strings.Contains(key, "@") {
		key = "*@" + key
	}
	if r.Pattern == "*" {
		return true, nil
	}
	// An item with a colon in it (a regular expression, a lookup) stays one item when no other separator is.
	pattern := r.Pattern
	if !strings.HasPrefix(strings.TrimLeft(pattern, " "), "<") {
		pattern = "<\n " + pattern
	}
	m, err := list.Address(s, pattern, key)
	return m.Matched, err
}

// fits compares an outcome's numbers with the error name.
func (f failure) fits(errno, more int) bool {
	if f.anyErrno {
		return true
	}
	if f.errno != errno && !(f.errno == mail.ErrnoQuota && (errno == int(syscall.EDQUOT) || errno == int(syscall.ENOSPC))) {
		return false
	}
	if f.quotaAge > 0 {
		return time.Duration(more)*time.Second >= f.quotaAge
	}
	if f.digits != "" && f.digits != "xx" {
		code := fmt.Sprintf("%02d", more>>8&0xff)
		return f.digits[0] == code[0] && (f.digits[1] == 'x' || f.digits[1] == code[1])
	}
	if f.connect && more&mail.MoreConnectTimeout == 0 {
		return false
	}
	return f.more == 0 || more&0xff == f.more
}

// String writes the rule as -brt shows it.
func (r *Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s", r.Pattern, r.Error)
	if r.HasSenders {
		fmt.Fprintf(&b, "  senders=%s", r.Senders)
	}
	b.WriteString("  ")
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "%c,%s,%s", s.Letter, option.FormatTime(s.Cutoff), option.FormatTime(s.Interval))
		if s.Letter != 'F' {
			b.WriteString("," + formatFixed(s.Factor))
		}
		b.WriteString("; ")
	}
	return b.String()
}

// formatFixed writes thousandths with at least one digit after the point: 1500 is "1.5", 2000 "2.0".
func formatFixed(f option.Fixed) string {
	text := strings.TrimRight(fmt.Sprintf("%d.%03d", f/1000, f%1000), "0")
	if strings.HasSuffix(text, ".") {
		text += "0"
	}
	return text
}

// Cutoff is the time after which the rule gives up, 0 for a rule without steps.
func (r *Rule) Cutoff() time.Duration {
	if r == nil || len(r.Steps) == 0 {
		return 0
	}
	return r.Steps[len(r.Steps)-1].Cutoff
}

// Next computes the wait until the next try. failing is how long the failure has lasted, previous the last
// interval between tries, limit is retry_interval_max, random gives a number below n for H. Past the last cutoff
// the last step still counts and expired is true.
func (r *Rule) Next(failing, previous, limit time.Duration, random func(n int) int) (wait time.Duration, expired bool) {
	if len(r.Steps) == 0 {
		return 0, true
	}
	step := r.Steps[len(r.Steps)-1]
	expired = true
	for _, s := range r.Steps {
		if failing < s.Cutoff {
			step, expired = s, false
			break
		}
	}
	wait = step.Interval
	switch step.Letter {
	case 'G':
		for wait <= previous && wait < limit {
			grown := grow(wait, step.Factor)
			if grown == wait {
				break
			}
			wait = grown
		}
	case 'H':
		most := grow(max(previous, step.Interval), step.Factor)
		if span := int(min((most-step.Interval)/time.Second, math.MaxInt32)); span > 0 {
			wait += time.Duration(random(span)) * time.Second
		}
	}
	return min(wait, limit), expired
}

func grow(d time.Duration, factor option.Fixed) time.Duration {
	return time.Duration(float64(d)*float64(factor)/1000) / time.Second * time.Second
}

// ParseErrorName reads the error name of a -brt call: it returns the numbers a failure of that kind has.
func ParseErrorName(name string) (errno, more int, err error) {
	f, err := parseError(name)
	if err != nil {
		return 0, 0, err
	}
	more = f.more
	switch {
	case f.digits != "":
		d := strings.ReplaceAll(f.digits, "x", "0")
		n, _ := strconv.Atoi(d)
		more |= n << 8
	case f.connect:
		more |= mail.MoreConnectTimeout
	case f.quotaAge > 0:
		more = int(f.quotaAge / time.Second)
	}
	return f.errno, more, nil
}
