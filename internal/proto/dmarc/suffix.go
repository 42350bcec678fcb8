package dmarc

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Suffixes is a list of public suffixes (https://publicsuffix.org/list/): the domains under which anybody can register.
type Suffixes struct {
	// rules has the kind for each name, without "*." and "!"; nil stands for the list that is built in.
	rules map[string]kind
}

// kind of a rule; a name can have more than one.
type kind uint8

const (
	normal kind = 1 << iota
	wildcard
	exception
)

// BuiltIn returns the list that the program was built with.
func BuiltIn() *Suffixes { return &Suffixes{} }

// Limits on a list that is read.
const (
	maxRules    = 1 << 20
	maxRuleLine = 4096
)

// ReadSuffixes reads a list in its usual format: a rule a line up to the first white space, comments behind "//".
func ReadSuffixes(r io.Reader) (*Suffixes, error) {
	s := &Suffixes{rules: make(map[string]kind)}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxRuleLine)
	for lines.Scan() {
		rule, _, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		rule, _, _ = strings.Cut(rule, "\t")
		if rule == "" || strings.HasPrefix(rule, "//") {
			continue
		}
		k := normal
		if rest, ok := strings.CutPrefix(rule, "!"); ok {
			rule, k = rest, exception
		} else if rest, ok := strings.CutPrefix(rule, "*."); ok {
			rule, k = rest, wildcard
		}
		if rule = Domain(strings.TrimPrefix(rule, ".")); rule == "" {
			continue // "*" alone is the rule that holds anyway
		}
		if s.rules[rule] |= k; len(s.rules) > maxRules {
			return nil, fmt.Errorf("more than %d rules", maxRules)
		}
	}
	return s, lines.Err()
}

// Organizational returns the organizational domain of a domain: its public suffix with one more label, or the domain itself where that is a
// public suffix (RFC 7489 section 3.2). domain is in the form that Domain makes.
func (s *Suffixes) Organizational(domain string) string {
	if s.rules == nil {
		if d, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
			return d
		}
		return domain
	}
	suffix := s.suffix(domain)
	rest, ok := strings.CutSuffix(domain, "."+suffix)
	if !ok {
		return domain
	}
	return rest[strings.LastIndexByte(rest, '.')+1:] + "." + suffix
}

// Suffix returns the public suffix of a domain in the form that Domain makes.
func (s *Suffixes) Suffix(domain string) string {
	if s.rules == nil {
		suffix, _ := publicsuffix.PublicSuffix(domain)
		return suffix
	}
	return s.suffix(domain)
}

// suffix is the public suffix: that of an exception if one fits, else of the longest rule, else the last label.
func (s *Suffixes) suffix(domain string) string {
	best := domain[strings.LastIndexByte(domain, '.')+1:]
	for name, child, first := domain, "", true; ; first = false {
		k := s.rules[name]
		switch {
		case k&exception != 0:
			return name[strings.IndexByte(name, '.')+1:]
		case k&wildcard != 0 && !first && len(child) > len(best) && s.rules[child]&exception == 0:
			best = child
		case k&normal != 0 && len(name) > len(best):
			best = name
		}
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return best
		}
		child, name = name, name[dot+1:]
	}
}
