package callout

import (
	"time"

	"exigo/internal/config"
	"exigo/internal/hints"
	"exigo/internal/mail"
	"exigo/internal/route"
)

// cache is the callout hints as one callout sees them.
type cache struct {
	db   *hints.DB
	main *config.Main
	now  time.Time
}

// key names an address in the cache; with a sender other than the empty one the answer is for this sender only.
func (w *work) key() string {
	if w.from == "" {
		return w.c.Address.Address
	}
	return w.c.Address.Address + "/<" + w.from + ">"
}

// get reads a record that is not too old: positive and negative are the lives of records by their Result.
func (c *cache) get(key string, positive, negative time.Duration) (hints.Callout, bool) {
	if c.db == nil {
		return hints.Callout{}, false
	}
	r, stamp, found, err := hints.CalloutTable().Get(c.db, key)
	if err != nil || !found {
		return hints.Callout{}, false
	}
	life := negative
	if r.Result == hints.Accepted {
		life = positive
	}
	if c.now.Sub(stamp) > life {
		return hints.Callout{}, false
	}
	return r, true
}

// fresh forgets an answer of a domain record that is too old. Only what makes callouts fail expires early (spec 44.48): that random local parts are
// refused is no failure.
func (c *cache) fresh(v, fails hints.Verdict, stamp int64) hints.Verdict {
	life := time.Duration(c.main.CalloutDomainPositiveExpire)
	if v == fails {
		life = time.Duration(c.main.CalloutDomainNegativeExpire)
	}
	if v == hints.Unknown || c.now.Sub(time.Unix(stamp, 0)) > life {
		return hints.Unknown
	}
	return v
}

// cached answers from the cache if it can (spec 44.48). It takes wishes back that the cache fulfils.
func (w *work) cached() (r route.CalloutResult, done bool) {
	m := w.main
	domain, found := w.cache.get(w.c.Address.Domain, time.Duration(m.CalloutDomainPositiveExpire), time.Duration(m.CalloutDomainNegativeExpire))
	if found {
		if domain.Result == hints.Rejected || w.from == "" && domain.Result == hints.RejectedMail {
			return failed("mail", "(result of an earlier callout reused)."), true
		}
		if domain.Result == hints.RejectedMail {
			w.domain.Result = domain.Result
		}
		w.domain.Postmaster, w.domain.PostmasterStamp = w.cache.fresh(domain.Postmaster, hints.Rejected, domain.PostmasterStamp), domain.PostmasterStamp
		w.domain.Random, w.domain.RandomStamp = w.cache.fresh(domain.Random, hints.Unknown, domain.RandomStamp), domain.RandomStamp
		if w.random {
			switch w.domain.Random {
			case hints.Accepted:
				return route.CalloutResult{Result: mail.Delivered, Failure: "random"}, true
			case hints.Rejected:
				w.random = false
			}
		}
		if w.postmaster {
			switch w.domain.Postmaster {
			case hints.Accepted:
				w.postmaster = false
			case hints.Rejected:
				return failed("postmaster", "(result of earlier verification reused)."), true
			}
		}
	}
	address, found := w.cache.get(w.key(), time.Duration(m.CalloutPositiveExpire), time.Duration(m.CalloutNegativeExpire))
	switch {
	case !found:
	case address.Result != hints.Accepted:
		r := failed("recipient", "Previous (cached) callout verification failure")
		if !w.c.Sender {
			r.Message = r.UserMessage
		}
		return r, true
	case !w.postmaster:
		return route.CalloutResult{Result: mail.Delivered}, true
	}
	return r, false
}

func failed(failure, text string) route.CalloutResult {
	return route.CalloutResult{Result: mail.Failed, Failure: failure, UserMessage: text}
}

// keep writes what was learnt. A cache that cannot be written is no reason to fail.
func (w *work) keep() {
	if w.cache.db == nil {
		return
	}
	t := hints.CalloutTable()
	if w.domain.Result != hints.Unknown && w.asked {
		w.domain.Domain = true
		_ = t.Put(w.cache.db, w.c.Address.Domain, w.domain)
	}
	if w.addressKnown {
		_ = t.Put(w.cache.db, w.key(), hints.Callout{Result: w.address})
	}
}
