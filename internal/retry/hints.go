package retry

import (
	"context"
	"time"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// maxText bounds the text of a record.
const maxText = 150

// Record is what is remembered of one delayed thing.
type Record struct {
	First, Last, Next time.Time
	// Expired says that the last cutoff of the rule has passed.
	Expired          bool
	Errno, MoreErrno int
	Text             string
}

// Hints is where records are kept, by key: "R:domain", "R:local@domain", "R:local@domain:<sender>" for routing and
// recipients, "T:local@domain" for local deliveries, "T:host:address[:port][:message]" for remote ones.
// Errors of the store are not reported: a lost hint costs an attempt, never a message.
type Hints struct {
	Get    func(ctx context.Context, key string) (Record, bool)
	Put    func(ctx context.Context, key string, r Record)
	Delete func(ctx context.Context, key string)
	// Expire is retry_data_expire: older records count as absent. Limit is retry_interval_max.
	Expire, Limit time.Duration
}

// Look returns the record of a key, unless it is too old to be of use.
func (h *Hints) Look(ctx context.Context, key string, now time.Time) (Record, bool) {
	if h == nil || h.Get == nil {
		return Record{}, false
	}
	r, ok := h.Get(ctx, key)
	if ok && now.Sub(r.Last) > h.Expire {
		return Record{}, false
	}
	return r, ok
}

// MessageCutoff tells whether a message has been on the queue for longer than the cutoff of the rule that applies to
// a failure: it is then tried although its time has not come (spec 32.11).
func (rs *Rules) MessageCutoff(s *expand.Scope, f Failure, age time.Duration) bool {
	rule, err := rs.Find(s, f)
	return err == nil && rule != nil && len(rule.Steps) > 0 && age > rule.Cutoff()
}

// Update applies one change that a delivery attempt asked for. domain is the address's, age the time that the
// message has been on the queue. It tells whether the failure has lasted beyond the rule's last cutoff, so that the
// address (if all its changes say so) is given up.
func (rs *Rules) Update(ctx context.Context, s *expand.Scope, h *Hints, u mail.RetryUpdate, domain, sender string, received time.Time) (timedOut bool) {
	if u.Delete {
		h.Delete(ctx, u.Key)
		return false
	}
	now := s.Engine.World.Clock.Now()
	f := Failure{Key: u.Host, Errno: u.Errno, MoreErrno: u.MoreErrno, Sender: sender, SenderKnown: true}
	if u.IsHost {
		f.Alternate = domain
	} else if f.Key == "" {
		f.Key = addressOf(u.Key)
	}
	rule, err := rs.Find(s, f)
	if err != nil {
		return false
	}
	if rule == nil {
		h.Delete(ctx, u.Key)
		return true
	}
	old, known := h.Look(ctx, u.Key, now)
	r := Record{First: now, Last: now, Errno: u.Errno, MoreErrno: u.MoreErrno, Text: u.Message[:min(len(u.Message), maxText)]}
	var previous time.Duration
	if known {
		r.First = old.First
		previous = old.Next.Sub(old.Last)
	}
	if len(rule.Steps) == 0 {
		// No retrying at all for this error: it is over at once, and remembered as such.
		r.Next, r.Expired = now, true
		h.Put(ctx, u.Key, r)
		return true
	}
	from := r.First
	if messageError(u.Errno) && received.Before(from) {
		from = received
	}
	wait, expired := rule.Next(now.Sub(from), previous, h.Limit, s.Engine.World.Random.Intn)
	if now.Sub(received) > rule.Cutoff() && !expired {
		// The message has waited for longer than the rule allows, the destination has not failed for as long; other messages get their
		// chance at once (spec 32.11).
		if known {
			h.Delete(ctx, u.Key)
		}
		return true
	}
	r.Next, r.Expired = now.Add(wait), expired
	h.Put(ctx, u.Key, r)
	return expired
}

// messageError tells errors that belong to a message rather than to a host (spec 32.11).
func messageError(errno int) bool {
	return errno == mail.ErrnoMail4xx || errno == mail.ErrnoData4xx || errno == mail.ErrnoQuota
}

// addressOf takes the address or domain out of a key of the R: or T: form.
func addressOf(key string) string {
	if len(key) > 2 && key[1] == ':' {
		key = key[2:]
	}
	for i := 0; i < len(key); i++ {
		if key[i] == ':' && i+1 < len(key) && key[i+1] == '<' {
			return key[:i]
		}
	}
	return key
}
