package spool

import (
	"strconv"
	"time"
)

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// The lengths of message ids: of today, and of Exim up to 4.96.
const (
	idLength    = 23
	oldIDLength = 16
)

// NewID makes a message id (spec 3.4): the time in seconds, the process's number, and the fraction of the second with
// localhost_number in it, in base 62: "1rABCD-000000012ab-XYZ0". Two ids of one process are never equal: each takes another tick.
func (s *Spool) NewID(now time.Time, pid int) string {
	if s.options.ShortIDs {
		return s.newShortID(now, pid)
	}
	// Four digits hold 62^4 = 14.7 million: a second's microseconds, or 17 hosts of 500,000 double microseconds each.
	unit := int64(1)
	if s.options.LocalhostNumber >= 0 {
		unit = 2
	}
	tick := now.UnixMicro() / unit
	s.mu.Lock()
	if tick <= s.last {
		tick = s.last + 1
	}
	s.last = tick
	s.mu.Unlock()
	seconds, fraction := tick/(1e6/unit), tick%(1e6/unit)
	if s.options.LocalhostNumber >= 0 {
		fraction += int64(s.options.LocalhostNumber) * (1e6 / unit)
	}
	var b [idLength]byte
	base62(b[0:6], seconds)
	b[6] = '-'
	base62(b[7:18], int64(pid))
	b[18] = '-'
	base62(b[19:23], fraction)
	return string(b[:])
}

// More messages than one within a tick of the short form, which is long, are told apart by what lies above the largest process number
// (2^22 on Linux) in the second part: six digits hold 13,000 times that.
const (
	pidRange  = 1 << 22
	tickShare = 13000
)

// newShortID makes an id of 16 characters (spec 3.4 of Exim 4.96): "1rABCD-0012ab-XY". The fraction counts in 1/2000 of a second, or with a
// localhost_number in 1/200.
func (s *Spool) newShortID(now time.Time, pid int) string {
	perSecond := int64(2000)
	if s.options.LocalhostNumber >= 0 {
		perSecond = 200
	}
	tick := now.UnixMicro() / (1e6 / perSecond)
	s.mu.Lock()
	switch {
	case tick > s.last:
		s.last, s.shared = tick, 0
	case s.shared < tickShare:
		s.shared++
	default:
		s.last, s.shared = s.last+1, 0
	}
	tick, shared := s.last, s.shared
	s.mu.Unlock()
	fraction := tick % perSecond
	if s.options.LocalhostNumber >= 0 {
		fraction += int64(s.options.LocalhostNumber) * perSecond
	}
	var b [oldIDLength]byte
	base62(b[0:6], tick/perSecond)
	b[6] = '-'
	base62(b[7:13], int64(pid)+shared*pidRange)
	b[13] = '-'
	base62(b[14:16], fraction)
	return string(b[:])
}

func base62(b []byte, n int64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = digits[n%62]
		n /= 62
	}
}

// IsID tells whether text has the form of a message id, new or old.
func IsID(text string) bool {
	var first, second int
	switch len(text) {
	case idLength:
		first, second = 6, 18
	case oldIDLength:
		first, second = 6, 13
	default:
		return false
	}
	for i := 0; i < len(text); i++ {
		if (i == first || i == second) != (text[i] == '-') {
			return false
		}
		if text[i] != '-' && digit(text[i]) < 0 {
			return false
		}
	}
	return true
}

func digit(c byte) int64 {
	switch {
	case c >= '0' && c <= '9':
		return int64(c - '0')
	case c >= 'A' && c <= 'Z':
		return int64(c-'A') + 10
	case c >= 'a' && c <= 'z':
		return int64(c-'a') + 36
	}
	return -1
}

// Time returns the second in which the id was made; the zero time for what is no id.
func Time(id string) time.Time {
	if !IsID(id) {
		return time.Time{}
	}
	var n int64
	for i := 0; i < 6; i++ {
		n = n*62 + digit(id[i])
	}
	return time.Unix(n, 0)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
