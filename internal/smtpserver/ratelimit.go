package smtpserver

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"exigo/internal/mail"
	"exigo/internal/option"
)

type value = mail.Value

func taint(text string) value { return mail.Taint(text) }

var errUnterminated = errors.New("missing quote in command")

// rateLimit is one of smtp_ratelimit_mail and smtp_ratelimit_rcpt: after threshold commands each waits longer.
type rateLimit struct {
	on        bool
	threshold int
	delay     time.Duration
	factor    float64
	max       time.Duration
}

// parseRateLimit reads "2,0.5s,1.05,4m"; a malformed value is no limit (the configuration reader has checked it).
func parseRateLimit(text string) rateLimit {
	fields := strings.Split(text, ",")
	if len(fields) != 4 {
		return rateLimit{}
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	threshold, err1 := strconv.Atoi(fields[0])
	delay, ok2 := fractionalTime(fields[1])
	factor, err3 := strconv.ParseFloat(fields[2], 64)
	max, ok4 := fractionalTime(fields[3])
	if err1 != nil || !ok2 || err3 != nil || !ok4 || factor < 0 {
		return rateLimit{}
	}
	return rateLimit{on: true, threshold: threshold, delay: delay, factor: factor, max: max}
}

// CheckRateLimit tells whether a value of smtp_ratelimit_mail or smtp_ratelimit_rcpt can be understood.
func CheckRateLimit(text string) bool { return text == "" || parseRateLimit(text).on }

// fractionalTime reads a time whose number may have a fraction: "0.5s".
func fractionalTime(text string) (time.Duration, bool) {
	whole, rest, found := strings.Cut(text, ".")
	if !found {
		return option.ParseTime(text)
	}
	if rest == "" {
		return 0, false
	}
	unit, ok := option.ParseTime("1" + rest[len(rest)-1:])
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseFloat(whole+"."+rest[:len(rest)-1], 64)
	if err != nil || n < 0 || n > 1e9 {
		return 0, false
	}
	return time.Duration(n * float64(unit)), true
}

// wait delays the count-th command. Pending replies go out first.
func (s *Session) wait(limit *rateLimit, count int) {
	if !s.rateLimited || !limit.on || count <= limit.threshold {
		return
	}
	s.io.flush()
	if !s.start.HostChecking {
		s.svc.World.Clock.Sleep(s.ctx, limit.delay)
	}
	limit.delay = time.Duration(float64(limit.delay) * limit.factor)
	if limit.delay > limit.max {
		limit.delay = limit.max
	}
}

func (s *Session) slowMail() { s.wait(&s.mailDelay, s.mails) }

func (s *Session) slowRcpt() {
	if s.noun.RcptCount == 1 {
		s.rcptDelay = parseRateLimit(s.main.SMTPRateLimitRcpt)
		s.rcptDelay.on = s.rcptDelay.on && s.rateLimited
	}
	s.wait(&s.rcptDelay, s.noun.RcptCount)
}
