package acl

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"exigo/internal/hints"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// rate is a parsed ratelimit condition (spec 44.39).
type rate struct {
	limit      float64
	limitText  string
	period     time.Duration
	periodText string
	per        string // "per_mail" ...; "" when none was given
	mode       string // "leaky", "strict", "readonly"
	count      float64
	unique     string
	hasUnique  bool
	key        string
	noUpdate   bool
	perSession bool
	perMessage bool
}

// rates remembers, by key, what was computed for a session, a message or a command, so that a condition that is tested
// twice counts once.
type rates struct{ computed map[string]float64 }

func (r *Run) rateMistake(format string, args ...any) Verdict {
	return r.Mistake("error in arguments to \"ratelimit\" condition: " + fmt.Sprintf(format, args...))
}

// checkRateLimit is the ratelimit condition: true when the rate is not below the limit.
func checkRateLimit(r *Run, argument mail.Value) Verdict {
	x, verdict := r.parseRate(argument.S)
	if verdict != OK {
		return verdict
	}
	r.setExtra("sender_rate_limit", mail.Value{S: x.limitText})
	r.setExtra("sender_rate_period", mail.Value{S: x.periodText})
	memory := r.rateMemory(x)
	result, known := memory.computed[x.key]
	if !known {
		var err error
		if result, err = r.measure(x); err != nil {
			r.debug("ratelimit database: %v", err)
			return r.Deferred("ratelimit database not available")
		}
		if memory.computed == nil {
			memory.computed = make(map[string]float64)
		}
		memory.computed[x.key] = result
	}
	r.setExtra("sender_rate", mail.Value{S: strconv.FormatFloat(result, 'f', 1, 64)})
	if result < x.limit {
		return Fail
	}
	return OK
}

// rateMemory is where a computed rate is remembered: as long as what it measures lasts.
func (r *Run) rateMemory(x *rate) *rates {
	switch {
	case x.perSession && !x.noUpdate && r.Scope.Session != nil:
		return mail.State[rates](&r.Scope.Session.Bag)
	case x.perMessage && !x.noUpdate && r.Scope.Message != nil:
		return mail.State[rates](&r.Scope.Message.Bag)
	}
	return &r.command
}

// parseRate reads "limit / period / options / key". The verdict is OK or, after a message, Error.
func (r *Run) parseRate(text string) (*rate, Verdict) {
	items := slashList(text)
	x := &rate{count: 1}
	if len(items) == 0 || items[0] == "" {
		return nil, r.rateMistake("sender rate limit not set")
	}
	x.limitText = items[0]
	var ok bool
	if x.limit, ok = positive(items[0], true); !ok {
		return nil, r.rateMistake("\"%s\" is not a positive number", items[0])
	}
	if len(items) < 2 {
		return nil, r.rateMistake("\"NULL\" is not a time value")
	}
	x.periodText = items[1]
	if x.period, ok = option.ParseTime(items[1]); !ok || x.period <= 0 {
		return nil, r.rateMistake("\"%s\" is not a time value", items[1])
	}
	var key []string
	countGiven := false
	for _, item := range items[2:] {
		switch {
		case item == "":
		case item == "leaky" || item == "strict" || item == "readonly" || item == "noupdate":
			if item == "noupdate" {
				x.noUpdate = true
				continue
			}
			if x.mode != "" && x.mode != item {
				return nil, r.rateMistake("conflicting update modes")
			}
			x.mode = item
		case perNames[item]:
			if x.per != "" && x.per != item {
				return nil, r.rateMistake("conflicting per_* options")
			}
			x.per = item
		case strings.HasPrefix(item, "count="):
			if x.count, ok = positive(item[len("count="):], false); !ok {
				return nil, r.rateMistake("\"%s\" is not a positive number", item)
			}
			countGiven = true
		case strings.HasPrefix(item, "unique="):
			x.unique, x.hasUnique = item[len("unique="):], true
		default:
			key = append(key, item)
		}
	}
	return x, r.settleRate(x, key, countGiven)
}

var perNames = map[string]bool{"per_addr": true, "per_byte": true, "per_cmd": true, "per_conn": true, "per_mail": true, "per_rcpt": true}

var (
	perMailPhases = Phases(Mail, Rcpt, Predata, MIME, DKIM, PRDR, Data, NotSMTPStart, NotSMTP, NotSMTPMIME)
	perRcptPhases = Phases(Rcpt, Predata, MIME, DKIM, PRDR, Data, NotSMTPStart, NotSMTP, NotSMTPMIME)
	perConnPhases = except(Phases(NotSMTP, NotSMTPStart, NotSMTPMIME))
)

// settleRate works out the defaults, what counts, and the key of the record.
func (r *Run) settleRate(x *rate, key []string, countGiven bool) Verdict {
	phases, name, message := AllPhases, x.per, r.Scope.Message
	x.noUpdate = x.noUpdate || x.mode == "readonly"
	switch x.per {
	case "":
		name, x.perMessage = "per_mail", true
	case "per_mail":
		phases, x.perMessage = perMailPhases, true
	case "per_byte":
		phases, name, x.perMessage = perMailPhases, "per_mail", true
		if !countGiven {
			x.count = 0
			if message != nil {
				x.count = max(0, float64(message.Size))
			}
		}
	case "per_conn":
		phases, x.perSession = perConnPhases, true
	case "per_rcpt":
		phases = perRcptPhases
		if r.Phase != Rcpt && phases.Has(r.Phase) {
			x.perMessage = true
			if !countGiven && message != nil {
				x.count = float64(len(message.Recipients))
			}
		}
	case "per_addr":
		phases, name = Phases(Rcpt), "per_rcpt"
		if !x.hasUnique && r.Scope.Address != nil {
			x.unique = r.Scope.Address.LocalPart + "@" + r.Scope.Address.Domain
		}
		x.hasUnique = true
	}
	if !phases.Has(r.Phase) && !x.noUpdate && r.Phase != Expansion {
		if x.mode != "" {
			return r.rateMistake("\"%s\" must not have /leaky or /strict option, or cannot be used in %s ACL", name, r.Phase)
		}
		x.noUpdate = true
	}
	if x.noUpdate {
		x.count = 0
	}
	if key == nil {
		key = []string{addressText(r.Scope.Session)}
	}
	parts := []string{x.periodText, name}
	if x.hasUnique {
		parts = append(parts, "unique")
	}
	x.key = strings.Join(append(parts, key...), "/")
	r.debug("ratelimit condition count=%.0f %.1f/%s", x.count, x.limit, x.key)
	return OK
}

// addressText is $sender_host_address.
func addressText(s *mail.Session) string {
	if s == nil || !s.Host.IsValid() {
		return ""
	}
	return s.Host.Unmap().String()
}

// measure brings the record up to date and returns the rate.
func (r *Run) measure(x *rate) (result float64, err error) {
	now := r.Scope.Engine.World.Clock.Now()
	change := func(old hints.Ratelimit, _ time.Time, found bool) (hints.Ratelimit, hints.Action) {
		if found && x.hasUnique && old.Unique == nil {
			found = false
		}
		next := hints.Ratelimit{Stamp: now.UnixMicro()}
		count := x.count
		if x.hasUnique {
			next.Unique, next.UniqueEpoch = old.Unique, old.UniqueEpoch
			if !found || now.Sub(time.Unix(old.UniqueEpoch, 0)) > x.period {
				next.Unique, next.UniqueEpoch = newFilter(x.limit), now.Unix()
			}
			if !x.noUpdate && filterAdd(&next.Unique, x.unique) {
				count = 0 // it was seen in this period
			}
		}
		next.Rate = smooth(old, found, now, x.period, count)
		result = next.Rate
		if x.noUpdate || x.mode != "strict" && next.Rate >= x.limit {
			return next, hints.Keep
		}
		return next, hints.Write
	}
	if r.Services.Hints == nil {
		change(hints.Ratelimit{}, time.Time{}, false)
		return result, nil
	}
	err = hints.RatelimitTable().Update(r.Services.Hints, x.key, change)
	return result, err
}

// smooth is an exponentially weighted moving average over the period: the old rate fades with the time since it was computed,
// and the new events count with the weight of the time they took. A rate is never less than the events just counted, lest
// the first of a burst after a long silence go unseen.
func smooth(old hints.Ratelimit, found bool, now time.Time, period time.Duration, count float64) float64 {
	if !found {
		return count
	}
	interval := now.Sub(time.UnixMicro(old.Stamp)).Seconds()
	if interval <= 0 {
		interval = 1e-9
	}
	share := interval / period.Seconds()
	fading := math.Exp(-share)
	return max(count, (1-fading)/share*count+fading*old.Rate)
}

// The Bloom filter holds 16 bits for each event up to the limit and sets 8 of them, which makes one in a thousand
// events look seen at the limit (spec 44.43).
const (
	filterBits   = 16
	filterHashes = 8
	maxFilter    = 1 << 20
)

func newFilter(limit float64) []byte {
	size := math.Ceil(max(limit, 20)) * filterBits / 8
	return make([]byte, int(min(size, maxFilter)))
}

// filterAdd adds an event to a copy of the filter and tells whether it was there.
func filterAdd(filter *[]byte, event string) (seen bool) {
	f := append([]byte(nil), *filter...)
	bits := uint64(len(f)) * 8
	a, b := eventHash(event)
	seen = true
	for i := range uint64(filterHashes) {
		bit := (a + i*b) % bits
		if f[bit/8]&(1<<(bit%8)) == 0 {
			seen = false
			f[bit/8] |= 1 << (bit % 8)
		}
	}
	*filter = f
	return seen
}

// eventHash returns two hashes that are the same in every process: FNV-1a of the event and of its reverse.
func eventHash(event string) (a, b uint64) {
	const offset, prime = 14695981039346656037, 1099511628211
	a, b = offset, offset
	for i := range len(event) {
		a = (a ^ uint64(event[i])) * prime
		b = (b ^ uint64(event[len(event)-1-i])) * prime
	}
	a ^= a >> 29
	b ^= b >> 31
	return a, b | 1
}

// positive reads a number that is not negative, with K, M or G when suffixes are allowed.
func positive(text string, suffix bool) (float64, bool) {
	factor := 1.0
	if n := len(text); suffix && n > 1 {
		switch text[n-1] {
		case 'k', 'K':
			factor = 1 << 10
		case 'm', 'M':
			factor = 1 << 20
		case 'g', 'G':
			factor = 1 << 30
		}
		if factor > 1 {
			text = text[:n-1]
		}
	}
	if text == "" && !suffix {
		return 0, true
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v < 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, false
	}
	return v * factor, true
}

// slashList splits a list whose separator is a slash: white space around items is dropped, a doubled slash is one.
func slashList(text string) []string {
	if strings.IndexByte(text, '/') < 0 { // one item, as nearly always
		if text = strings.Trim(text, " \t\r\n"); text == "" {
			return nil
		}
		return []string{text}
	}
	return option.SplitList("</" + text)
}
