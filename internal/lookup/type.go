package lookup

import (
	"fmt"
	"strconv"
	"strings"
)

// Default says what a single-key search tries last (spec 9.6).
type Default int

// Defaults of single-key searches.
const (
	NoDefault Default = iota
	// Star is "lsearch*": the key "*".
	Star
	// StarAt is "lsearch*@": "*@domain" first, then "*".
	StarAt
)

// Type is a lookup type as the configuration writes it: "partial3(.)lsearch*@,ret=key".
type Type struct {
	Driver *Driver
	// Partial is the least number of components without wildcard that partial matching tries, -1 for no
	// partial matching. Affix is what stands for the removed components.
	Partial int
	Affix   string
	Default Default
	// Options are what stands after the comma.
	Options []string
}

// ParseType reads a lookup type. Errors are worded as Exim words them. A "net-" prefix (host lists) is the caller's.
func ParseType(drivers map[string]*Driver, text string) (Type, error) {
	t := Type{Partial: -1}
	if d := drivers[text]; d != nil && !d.Absent { // most are that simple
		t.Driver = d
		return t, nil
	}
	rest := text
	if strings.HasPrefix(rest, "partial") {
		after, ok := t.parsePartial(rest[len("partial"):])
		if !ok {
			return t, fmt.Errorf("format error in lookup type \"%s\"", text)
		}
		rest = after
	}
	full := rest
	name, options, given := strings.Cut(rest, ",")
	if given {
		t.Options = strings.Split(options, ",")
	}
	if base, star, ok := strings.Cut(name, "*"); ok {
		t.Default = Star
		if strings.HasPrefix(star, "@") {
			t.Default = StarAt
		}
		name = base
	}
	t.Driver = drivers[name]
	if t.Driver == nil {
		return t, fmt.Errorf("unknown lookup type \"%s\"", name)
	}
	if t.Driver.Absent {
		return t, fmt.Errorf("lookup type \"%s\" is not available (not in the binary - check buildtime LOOKUP configuration)", name)
	}
	if t.Driver.Kind&SingleKey == 0 {
		if t.Partial >= 0 {
			return t, fmt.Errorf("\"partial\" is not permitted for lookup type \"%s\"", full)
		}
		if t.Default != NoDefault {
			return t, fmt.Errorf("defaults using \"*\" or \"*@\" are not permitted for lookup type \"%s\"", full)
		}
	}
	return t, nil
}

// parsePartial reads what stands after "partial": a number, then "-" or an affix in parentheses.
func (t *Type) parsePartial(rest string) (string, bool) {
	t.Partial, t.Affix = 2, "*."
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	if digits > 0 {
		n, err := strconv.Atoi(rest[:digits])
		if err != nil {
			return "", false
		}
		t.Partial = n
		rest = rest[digits:]
	}
	switch {
	case strings.HasPrefix(rest, "-"):
		return rest[1:], true
	case strings.HasPrefix(rest, "("):
		affix, after, ok := strings.Cut(rest[1:], ")")
		if !ok || strings.ContainsFunc(affix, notPunctuation) {
			return "", false
		}
		t.Affix = affix
		return after, true
	}
	return "", false
}

func notPunctuation(r rune) bool {
	return r <= ' ' || r >= 0x7f || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
