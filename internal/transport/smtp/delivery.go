package smtp

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"exigo/internal/mail"
	"exigo/internal/retry"
	"exigo/internal/transport"
)

// delivery is one run of the transport.
type delivery struct {
	ctx      context.Context
	run      *transport.Run
	settings *Settings
	services *Services
	started  time.Time
	// port is the default port.
	port int
	// maxRcpt is the largest number of recipients of one copy, 0 for any.
	maxRcpt int
	// pending are the addresses that have neither been delivered nor failed for good.
	pending []*mail.Address
	counts  counts
	// settled are the addresses whose outcome stands, whatever other hosts there are.
	settled map[*mail.Address]bool
	// waiting are names of hosts for which the message is to wait.
	waiting []string
	// failing is the outcome of the last host that was tried, if host or message were at fault.
	failing *mail.Outcome
}

// counts are what the host loop has seen (spec 30.5).
type counts struct {
	tried, unexpired                       int // addresses of hosts tried; those not past their cutoff
	total, deferred, failed, retry, serial int
	// expired is true while every host was past its last retry cutoff and none was due.
	expired bool
}

// remote delivers the run's addresses.
func remote(ctx context.Context, r *transport.Run) error {
	d := &delivery{ctx: ctx, run: r, settings: Of(r.Transport.Instance), services: servicesOf(r), started: r.Now(),
		settled: make(map[*mail.Address]bool, len(r.Addresses))}
	if err := d.lineLengths(); err != nil {
		return err
	}
	var err error
	if d.port, err = d.settings.port(r); err != nil {
		return err
	}
	if !r.AllOrNone {
		d.maxRcpt = limits(r.Transport, r.Scope).MaxRecipients
	}
	hosts, err := d.candidates()
	if err != nil {
		return err
	}
	if _, err := r.Header(); err != nil {
		return err
	}
	d.pending = append(d.pending, r.Addresses...)
	d.tryHosts(hosts)
	d.messageDeferred()
	if len(d.pending) > 0 && !r.AllOrNone {
		if err := d.fallBack(hosts); err != nil {
			return err
		}
	}
	d.finish()
	return nil
}

// lineLengths fails messages with lines that SMTP does not allow.
func (d *delivery) lineLengths() error {
	limit := d.settings.MessageLineLengthLimit
	longest := d.run.Message.MaxReceivedLine
	if limit <= 0 || longest <= limit || d.run.Transport.Generic.HeadersOnly {
		return nil
	}
	return transport.Fail("message has lines too long for transport (received %d, limit %d)", longest, limit)
}

// tryHosts goes through the hosts until nothing is pending (spec 30.5, 32.10). A second pass tries hosts that are past their
// cutoff when delay_after_cutoff is off.
func (d *delivery) tryHosts(hosts []mail.Host) {
	passes := 2
	if d.settings.DelayAfterCutoff {
		passes = 1
	}
	for pass := range passes {
		d.counts.expired = true
		d.counts.total, d.counts.retry, d.counts.failed, d.counts.deferred = 0, 0, 0, 0
		queue := append([]mail.Host(nil), hosts...)
		for len(queue) > 0 && len(d.pending) > 0 && d.ctx.Err() == nil {
			if d.counts.unexpired >= d.settings.HostsMaxTry && d.settings.HostsMaxTry > 0 || d.counts.tried >= d.settings.HostsMaxTryHardLimit {
				d.counts.expired = d.counts.expired && d.counts.tried >= d.settings.HostsMaxTryHardLimit
				break
			}
			h := queue[0]
			queue = queue[1:]
			if !h.Address.IsValid() && h.Status == mail.HostUnknown {
				found, problem := d.resolve(d.ctx, h)
				if problem != nil {
					d.unresolved(problem)
					continue
				}
				h, queue = found[0], append(found[1:len(found):len(found)], queue...)
			}
			d.tryHost(&h, &queue, pass)
		}
		if !d.counts.expired || len(d.pending) == 0 || d.ctx.Err() != nil {
			return
		}
	}
}

// unresolved remembers why a host has no address.
func (d *delivery) unresolved(problem *transport.Error) {
	d.counts.total++
	if problem.Outcome.Errno == mail.ErrnoUnknownHost {
		d.counts.failed++
	} else {
		d.counts.deferred++
	}
	d.counts.expired = false
	for _, a := range d.pending {
		d.set(a, problem.Outcome)
	}
}

// set gives an address an outcome; retry keys collected before stay.
func (d *delivery) set(a *mail.Address, o mail.Outcome) {
	keys, host := a.Outcome.RetryKeys, a.Outcome.Host
	a.Outcome = o
	if a.Outcome.Host == nil {
		a.Outcome.Host = host // the last one that said something about the address
	}
	a.Outcome.RetryKeys = append(keys, o.RetryKeys...)
}

// hostKeys are the keys of a host's retry records: for the host, and for this message at the host.
func (d *delivery) hostKeys(h *mail.Host) (host, message string) {
	name := h.Name
	if h.Address.IsValid() && name == h.Address.String() {
		name = "[" + name + "]"
	}
	include, err := d.boolean(d.settings.RetryIncludeIPAddress, "retry_include_ip_address")
	host = "T:" + name
	if include || err != nil {
		if h.Address.Is6() {
			host += ":[" + h.Address.String() + "]"
		} else {
			host += ":" + h.Address.String()
		}
	}
	if p := d.portOf(h); p != 25 {
		host += ":" + strconv.Itoa(p)
	}
	if from, err := source(d.run, d.settings, h); err == nil && from.IsValid() {
		host += "/" + from.String() // a host that cannot be reached from one address may be reached from another
	}
	return host, host + ":" + d.run.Message.ID
}

func (d *delivery) portOf(h *mail.Host) int {
	if h.Port != 0 {
		return h.Port
	}
	return d.port
}

// due looks a host up in the retry hints. usable says that it may be tried now; expired that its last cutoff has passed;
// known that there is a record to be removed by a success.
func (d *delivery) due(h *mail.Host, pass int) (usable, expired, known bool) {
	hostKey, messageKey := d.hostKeys(h)
	now := d.run.Now()
	usable = true
	for _, key := range []string{hostKey, messageKey} {
		r, ok := d.services.Retry.Look(d.ctx, key, now)
		if !ok {
			continue
		}
		known = true
		h.LastTry, h.NextTry = r.Last, r.Next
		expired = expired || r.Expired
		if now.Before(r.Next) && !d.run.Force && !d.run.Continue && !d.overdue(h, r) {
			usable = false
		}
	}
	h.Expired = expired
	if !usable && expired && pass > 0 && h.LastTry.Before(d.run.Message.Received) {
		usable = true
	}
	return usable, expired, known
}

// overdue tells whether the message has been on the queue for longer than the cutoff of the host's rule (spec 32.11).
func (d *delivery) overdue(h *mail.Host, r retry.Record) bool {
	if r.Expired || d.services.Rules == nil {
		return false
	}
	f := retry.Failure{Key: h.Name, Alternate: d.run.Addresses[0].Domain, Errno: r.Errno, MoreErrno: r.MoreErrno, Sender: d.run.Message.Sender, SenderKnown: true}
	return d.services.Rules.MessageCutoff(d.run.Scope, f, d.run.Now().Sub(d.run.Message.Received))
}

// tryHost tries one address of a host. rest are the hosts behind it, of which some may be skipped.
func (d *delivery) tryHost(h *mail.Host, rest *[]mail.Host, pass int) {
	d.counts.total++
	if !h.Address.IsValid() {
		d.noAddress(h)
		return
	}
	usable, expired, known := d.due(h, pass)
	if !usable {
		d.counts.retry++
		d.waiting = append(d.waiting, h.Name)
		h.Status, h.Why = mail.HostUnusable, mail.WhyRetry
		if !expired {
			d.counts.expired = false
			for _, a := range d.pending {
				a.HostSkipped = true
			}
		}
		return
	}
	if pass > 0 && !expired {
		return // tried in the first pass
	}
	release, ok, err := d.serialize(h)
	if err != nil {
		d.unresolved(err)
		return
	}
	if !ok {
		d.counts.serial++
		d.counts.expired = false
		return
	}
	defer release()
	d.counts.tried++
	if !expired {
		d.counts.unexpired++
		d.counts.expired = false
		d.skipToNextMX(h, rest)
	}
	d.deliverTo(h, known, expired, len(*rest) > 0)
}

// noAddress counts a host of a router whose look-up brought no address.
func (d *delivery) noAddress(h *mail.Host) {
	switch h.Why {
	case mail.WhyDeferred:
		d.counts.deferred++
		d.counts.expired = false
	default:
		d.counts.failed++
	}
}

// skipToNextMX makes a host that would be the last one tried by hosts_max_try not count, if hosts of a higher MX value
// follow, and goes on with these (spec 30.5).
func (d *delivery) skipToNextMX(h *mail.Host, rest *[]mail.Host) {
	if d.counts.unexpired < d.settings.HostsMaxTry || h.MX < 0 {
		return
	}
	for i, next := range *rest {
		if next.MX > h.MX {
			*rest = (*rest)[i:]
			d.counts.unexpired--
			return
		}
	}
}

// hostError says what a failed attempt was about, which decides on the retry records (spec 49.2).
type scopeOfError int

const (
	aboutHost scopeOfError = iota
	aboutMessage
	aboutRecipients
	noError
	aboutNothing // the server had no part in it
)

// deliverTo makes a session with a host and records what it says about the host.
func (d *delivery) deliverTo(h *mail.Host, known, expired, more bool) {
	host := *h
	host.Port = d.portOf(h)
	if d.run.DontDeliver {
		d.setAll(d.pending, mail.Outcome{Result: mail.Delivered, Host: &host, Confirmation: "delivery bypassed by -N option"})
		d.pending = nil
		return
	}
	before := d.pending
	p := d.session(&host, more)
	hostKey, messageKey := d.hostKeys(h)
	var out []*mail.Address
	for _, a := range before {
		if !d.settled[a] {
			out = append(out, a)
		}
	}
	d.pending = out
	if !expired && p.about != aboutNothing && len(out) > 0 && d.pastCutoff(h, out[0].Outcome) {
		d.counts.unexpired--
	}
	first := before[0]
	d.failing = nil
	switch p.about {
	case noError, aboutRecipients:
		if known {
			first.Outcome.RetryKeys = append(first.Outcome.RetryKeys, mail.RetryUpdate{Key: hostKey, Delete: true, IsHost: true, Host: h.Name},
				mail.RetryUpdate{Key: messageKey, Delete: true, IsHost: true, Host: h.Name})
		}
	case aboutHost, aboutMessage:
		d.hostFailed(&host, p, hostKey, messageKey)
	}
}

// pastCutoff tells whether the message is too old for the rule of a host's failure: such hosts do not count for hosts_max_try, so
// that all are tried before the address is given up (spec 30.5).
func (d *delivery) pastCutoff(h *mail.Host, o mail.Outcome) bool {
	if d.services.Rules == nil {
		return false
	}
	rule, err := d.services.Rules.Find(d.run.Scope, retry.Failure{Key: h.Name, Alternate: d.run.Addresses[0].Domain, Errno: o.Errno,
		MoreErrno: o.MoreErrno, Sender: d.run.Message.Sender, SenderKnown: true})
	if err != nil {
		return false
	}
	return rule == nil || len(rule.Steps) == 0 || d.run.Now().Sub(d.run.Message.Received) > rule.Cutoff()
}

// fallBack tries the fallback hosts for what is still deferred (spec 30.4, fallback_hosts).
func (d *delivery) fallBack(tried []mail.Host) error {
	a := d.pending[0]
	hosts := append([]mail.Host(nil), a.FallbackHosts...)
	own := len(hosts) == 0 && d.settings.FallbackHosts != ""
	if own {
		var err error
		if hosts, err = d.expandHosts(string(d.settings.FallbackHosts)); err != nil {
			return err
		}
	}
	hosts, err := d.ordered(hosts, own)
	if err != nil {
		return err
	}
	if len(hosts) == 0 || d.ctx.Err() != nil {
		return nil
	}
	if tried[0].MX >= 0 {
		for _, h := range hosts {
			for _, old := range tried {
				if strings.EqualFold(h.Name, old.Name) {
					return nil
				}
			}
		}
	}
	for _, p := range d.pending {
		if p.Outcome.Result == mail.Failed {
			return nil
		}
	}
	d.counts, d.failing = counts{}, nil
	d.tryHosts(hosts)
	d.messageDeferred()
	return nil
}

// finish settles the addresses for which no host could be tried, and remembers for which hosts the message waits.
func (d *delivery) finish() {
	if len(d.waiting) > 0 && d.services.Wait != nil && len(d.pending) > 0 {
		d.services.Wait(d.ctx, d.run.Transport.Name, d.waiting, d.run.Message.ID)
	}
	c := d.counts
	for _, a := range d.pending {
		if a.Outcome.Result != mail.Pending {
			if c.expired && c.tried == 0 && a.Outcome.Result == mail.Deferred && c.deferred == 0 && c.failed == 0 {
				d.set(a, d.longFailing(a))
			}
			continue
		}
		switch {
		case d.ctx.Err() != nil:
			d.set(a, mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoUnknown, Message: "delivery interrupted"})
		case c.retry > 0 && c.expired:
			d.set(a, d.longFailing(a))
		case c.retry == c.total && c.total > 0:
			d.notDue(a, fmt.Sprintf("retry time not reached for any host%s", d.forDomain(a)))
		case c.failed == c.total && c.total > 0:
			d.set(a, mail.Outcome{Result: mail.Failed, Errno: mail.ErrnoHostsRetry, Message: "all host address lookups" + d.forDomain(a) + " failed permanently"})
		case c.failed+c.deferred == c.total && c.total > 0:
			d.notDue(a, "all host address lookups"+d.forDomain(a)+" failed temporarily")
		default:
			d.notDue(a, "some host address lookups failed and retry time not reached for other hosts or connection limit reached"+d.forDomain(a))
		}
	}
}

func (d *delivery) forDomain(a *mail.Address) string {
	if a.Domain == "" {
		return ""
	}
	return " for '" + a.Domain + "'"
}

func (d *delivery) notDue(a *mail.Address, text string) {
	a.RetrySkipped = true
	d.set(a, mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoHostsRetry, Message: text})
}

// longFailing is the outcome when all hosts are past their last cutoff (spec 32.10).
func (d *delivery) longFailing(a *mail.Address) mail.Outcome {
	tail := "(and retry time not reached)"
	if !d.settings.DelayAfterCutoff {
		tail = "and were last tried after this message arrived"
	}
	return mail.Outcome{Result: mail.Failed, Errno: mail.ErrnoHostsRetry,
		Message: "all hosts" + d.forDomain(a) + " have been failing for a long time " + tail}
}
