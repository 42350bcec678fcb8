package outside

import (
	"context"
	"errors"
)

// RRType is the number of a DNS record type (IANA registry).
type RRType uint16

// The record types that exigo asks for (RFC 1035, 2782, 3596, 6698 ...).
const (
	TypeA     RRType = 1
	TypeNS    RRType = 2
	TypeCNAME RRType = 5
	TypeSOA   RRType = 6
	TypePTR   RRType = 12
	TypeMX    RRType = 15
	TypeTXT   RRType = 16
	TypeAAAA  RRType = 28
	TypeSRV   RRType = 33
	TypeTLSA  RRType = 52
	TypeSPF   RRType = 99
	TypeCSA   RRType = TypeSRV
)

// Record is one resource record of an answer, its data split by type.
type Record struct {
	Name string // owner, lower case, without the final dot
	Type RRType
	TTL  uint32
	// Data is the record's data: the address for A and AAAA, the name (without final dot) for
	// NS, CNAME, PTR, MX and SRV targets, the joined strings for TXT and SPF, and the hexadecimal
	// association data for TLSA.
	Data string
	// Strings are the single strings of a TXT or SPF record.
	Strings []string
	// Preference is an MX preference or SRV priority; Weight and Port are SRV's.
	Preference, Weight, Port uint16
	// Usage, Selector and Matching are TLSA's three numbers.
	Usage, Selector, Matching uint8
	// SOA carries the other fields of an SOA record: responsible mailbox, serial, refresh, retry, expire, minimum.
	SOA SOA
}

// SOA is the data of a start-of-authority record; the primary name server is Record.Data.
type SOA struct {
	Mailbox                                 string
	Serial, Refresh, Retry, Expire, Minimum uint32
}

// Answer is what a query found.
type Answer struct {
	Records []Record // of the type asked for, CNAMEs followed
	// Name is the name that was found, completed if need be, in the spelling of the DNS; "" where that is not known.
	Name string
	// Canonical is the name at the end of the CNAME chain, or the name asked for.
	Canonical string
	// Secure is the AD bit.
	Secure bool
	// Authoritative is the AA bit.
	Authoritative bool
	// Authority is the owner of the first NS record of the authority section, or of the first SOA record when the
	// answer section is empty (dns_trust_aa).
	Authority string
}

// The ways a query can fail. They are told apart with errors.Is.
var (
	// ErrNoHost: the name does not exist (NXDOMAIN).
	ErrNoHost = errors.New("host not found")
	// ErrNoData: the name exists but has no record of the type.
	ErrNoData = errors.New("no data")
	// ErrTryAgain: a temporary failure (SERVFAIL, timeout, no server).
	ErrTryAgain = errors.New("DNS lookup: temporary failure, try again")
	// ErrRefused: a failure that a retry soon will not mend (REFUSED, FORMERR, NOTIMP); still temporary for mail.
	ErrRefused = errors.New("DNS lookup: non-recoverable failure")
)

// Question is one DNS query.
type Question struct {
	Name string // without or with final dot; never searched in a domain list unless Search is set
	Type RRType
	// Search adds the resolver's search list (dns_search_parents) and Qualify the default domain (dns_qualify_single).
	Search, Qualify bool
	// DNSSEC asks for the AD bit.
	DNSSEC bool
}

// Resolver answers DNS questions. Lookup returns one of the errors above (wrapped or not), or ctx's. With ErrNoHost and ErrNoData
// the answer's names and flags are valid.
type Resolver interface {
	Lookup(ctx context.Context, q Question) (Answer, error)
}

// Texts returns the data of the TXT records of a name. Where there are none, and where there is no such name, the error is ErrNoData.
func (w *World) Texts(ctx context.Context, name string) ([]string, error) {
	a, err := w.DNS.Lookup(ctx, Question{Name: name, Type: TypeTXT})
	if errors.Is(err, ErrNoHost) || errors.Is(err, ErrNoData) {
		return nil, ErrNoData
	}
	if err != nil {
		return nil, err
	}
	texts := make([]string, 0, len(a.Records))
	for _, r := range a.Records {
		texts = append(texts, r.Data)
	}
	return texts, nil
}
