package spool

import (
	"fmt"
	"strings"
	"time"
)

// Stamp is a message id taken apart, the digits not yet read: "1pEPHo-005xgk-2e", "1ptUlY-00000000PfG-46ri", or the time alone.
type Stamp struct{ Seconds, Process, Fraction string }

// ParseStamp takes an id apart; ok is false for what has another form.
func ParseStamp(id string) (s Stamp, ok bool) {
	parts := strings.Split(id, "-")
	for _, p := range parts {
		for i := range len(p) {
			if digit(p[i]) < 0 {
				return s, false
			}
		}
	}
	switch {
	case len(parts) == 1 && len(id) == 6:
		return Stamp{Seconds: id}, true
	case IsID(id):
		return Stamp{parts[0], parts[1], parts[2]}, true
	}
	return s, false
}

// Made is what an id says about its message.
type Made struct {
	Time time.Time
	// Process is the process's number, Host localhost_number.
	Process int64
	Host    int
}

// Decode reads the digits of base 62 or 36. hosts says that localhost_number is part of the fraction (spec 3.4).
func (s Stamp) Decode(base int, hosts bool) (m Made, err error) {
	var seconds, fraction int64
	for _, part := range []struct {
		text string
		to   *int64
	}{{s.Seconds, &seconds}, {s.Process, &m.Process}, {s.Fraction, &fraction}} {
		for i := range len(part.text) {
			d := digit(part.text[i])
			if d >= int64(base) {
				return m, fmt.Errorf("%s is not base %d", part.text, base)
			}
			*part.to = *part.to*int64(base) + d
		}
	}
	perSecond := int64(1_000_000) // of four digits
	switch {
	case len(s.Fraction) == 2 && base == 36:
		perSecond = 1000
	case len(s.Fraction) == 2:
		perSecond = 2000
	}
	if hosts {
		if perSecond /= 10; len(s.Fraction) == 4 {
			perSecond = 500_000
		}
		m.Host, fraction = int(fraction/perSecond), fraction%perSecond
	}
	m.Time = time.Unix(seconds, 0).Add(time.Duration(fraction) * time.Second / time.Duration(perSecond))
	return m, nil
}
