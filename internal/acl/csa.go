package acl

import (
	"errors"
	"net/netip"
	"strings"

	"exigo/internal/mail"
	"exigo/internal/outside"
)

// csaResult is an outcome of client SMTP authorization: the value of $csa_status and the reason for messages (spec 44.52).
type csaResult struct{ status, reason string }

// csaResults are all outcomes.
var (
	csaUnknown    = csaResult{"unknown", "unknown"}
	csaOK         = csaResult{"ok", "ok"}
	csaNoSRV      = csaResult{"defer", "SRV lookup failed"}
	csaNoTarget   = csaResult{"defer", "target address lookup failed"}
	csaExplicit   = csaResult{"fail", "explicit authorization required"}
	csaNotAllowed = csaResult{"fail", "host name not authorized"}
	csaNoAddress  = csaResult{"fail", "no authorized addresses"}
	csaMismatch   = csaResult{"fail", "client address mismatch"}
)

// csaCache holds the results of a session by domain.
type csaCache struct{ results map[string]csaResult }

// verifyCSA checks client SMTP authorization of the HELO name or another domain; only "fail" is a failure.
func verifyCSA(r *Run, _, _ string, options []string) Verdict {
	s := r.Scope.Session
	domain := s.HELO
	if len(options) > 0 && options[0] != "" {
		domain = options[0]
	}
	if domain == "" {
		domain = addressText(s)
	}
	cache := mail.State[csaCache](&s.Bag)
	result, known := cache.results[domain]
	if !known {
		result = r.csa(domain)
		if cache.results == nil {
			cache.results = make(map[string]csaResult)
		}
		cache.results[domain] = result
	}
	r.setExtra("csa_status", mail.Value{S: result.status})
	if result.status != "fail" {
		return OK
	}
	r.UserMessage = "client SMTP authorization " + result.reason
	r.LogMessage = r.UserMessage
	r.setVerifyMessage(r.UserMessage)
	return Fail
}

// csa looks for the SRV record of a domain, or for one of a parent that speaks for it.
func (r *Run) csa(domain string) csaResult {
	literal := strings.TrimSuffix(strings.TrimPrefix(domain, "["), "]")
	if len(literal) > 5 && strings.EqualFold(literal[:5], "ipv6:") {
		literal = literal[5:]
	}
	if address, err := netip.ParseAddr(literal); err == nil {
		if !r.main().DNSCSAUseReverse {
			return csaUnknown
		}
		suffix := ".in-addr.arpa"
		if address.Unmap().Is6() {
			suffix = ".ip6.arpa"
		}
		domain = reversed(literal) + suffix
	}
	if domain == "" || strings.ContainsAny(domain, " :/") {
		return csaUnknown
	}
	answer, err := r.dns("_client._smtp."+domain, outside.TypeSRV)
	switch {
	case err == nil:
		return r.csaRecords(answer.Records, domain, true)
	case !errors.Is(err, outside.ErrNoHost) && !errors.Is(err, outside.ErrNoData):
		return csaNoSRV
	}
	for level := 0; level < r.main().DNSCSASearchLimit; level++ {
		_, parent, ok := strings.Cut(domain, ".")
		if !ok || !strings.Contains(parent, ".") {
			return csaUnknown // top-level domains have no such records
		}
		domain = parent
		answer, err := r.dns("_client._smtp."+domain, outside.TypeSRV)
		switch {
		case err == nil:
			return r.csaRecords(answer.Records, domain, false)
		case !errors.Is(err, outside.ErrNoHost) && !errors.Is(err, outside.ErrNoData):
			return csaNoSRV
		}
	}
	return csaUnknown
}

// The numbers in the SRV records of draft-ietf-marid-csv-csa: the priority is the version, the weight the authorization, and
// bit 1 of the port says that names below the domain have to be authorized too.
const (
	csaVersion       = 1
	csaDenied        = 1
	csaAllowed       = 2
	csaSubdomainsBit = 1
)

// csaRecords says what the records mean. direct tells those of the domain itself from those of a parent.
func (r *Run) csaRecords(records []outside.Record, domain string, direct bool) csaResult {
	for _, record := range records {
		switch {
		case record.Preference != csaVersion:
			continue
		case !direct && record.Port&csaSubdomainsBit != 0:
			return csaExplicit
		case !direct:
			return csaUnknown
		case record.Weight&3 == csaDenied:
			return csaNotAllowed
		case record.Weight&3 == csaAllowed:
			return r.csaTarget(record.Data)
		}
	}
	return csaUnknown
}

// csaTarget compares the client with the addresses of the target.
func (r *Run) csaTarget(target string) csaResult {
	client := r.Scope.Session.Host.Unmap()
	t := outside.TypeA
	if client.Is6() {
		t = outside.TypeAAAA
	}
	answer, err := r.dns(target, t)
	switch {
	case errors.Is(err, outside.ErrNoHost), errors.Is(err, outside.ErrNoData), err == nil && len(answer.Records) == 0:
		return csaNoAddress
	case err != nil:
		return csaNoTarget
	}
	for _, record := range answer.Records {
		if a, err := netip.ParseAddr(record.Data); err == nil && a == client {
			return csaOK
		}
	}
	return csaMismatch
}
