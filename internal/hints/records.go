package hints

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Retry is a record of the retry database, for a host ("T:host:ip:port"), an address ("T:local@domain", "R:...") or a
// message at a host ("T:host:ip:message-id").
type Retry struct {
	// First is when it first failed, Last when it was last tried, Next when it may be tried again; Unix seconds.
	First, Last, Next int64
	// Expired says that the cutoff time of the last rule has passed.
	Expired bool
	// Errno and MoreErrno are Exim's error numbers; Text is the reason.
	Errno, MoreErrno int
	Text             string
}

// RetryTable is the retry database.
func RetryTable() Table[Retry] {
	return Table[Retry]{Name: "retry", Doc: "when failing hosts and addresses are tried again",
		Show: func(w io.Writer, key string, _ time.Time, r Retry, s Shower) {
			expired := ""
			if r.Expired {
				expired = "*"
			}
			fmt.Fprintf(w, "  %s %d %d %s\n%s  %s  %s %s\n", printable(key), r.Errno, r.MoreErrno, printable(r.Text),
				s.Time(time.Unix(r.First, 0)), s.Time(time.Unix(r.Last, 0)), s.Time(time.Unix(r.Next, 0)), expired)
		}}
}

// Wait is a record of a wait-TRANSPORT database: ids of messages that wait for the host of the key. They may be gone.
type Wait struct{ IDs []string }

// WaitTable is the database of messages waiting for hosts of a transport.
func WaitTable(transport string) Table[Wait] {
	return Table[Wait]{Name: "wait-" + transport, Doc: "messages waiting for remote hosts",
		Show: func(w io.Writer, key string, _ time.Time, r Wait, _ Shower) {
			fmt.Fprintf(w, "%s %s\n", printable(key), strings.Join(r.IDs, " "))
		}}
}

// Verdict is a cached answer of a callout.
type Verdict int

// Answers of callouts.
const (
	Unknown Verdict = iota
	Accepted
	Rejected
	RejectedMail // MAIL FROM:<> itself was refused
	RandomAccepted
	NotTried
)

// Callout is a record of the callout cache, for a domain (all fields) or an address (Result alone).
type Callout struct {
	Result Verdict
	// Postmaster and Random are the answers for postmaster and for a random local part, with the times they were learnt (Unix).
	Postmaster, Random           Verdict
	PostmasterStamp, RandomStamp int64
	// Domain tells records of domains from records of addresses.
	Domain bool
}

// CalloutTable is the callout cache.
func CalloutTable() Table[Callout] {
	return Table[Callout]{Name: "callout", Doc: "results of sender and recipient callouts", Show: showCallout}
}

// Ratelimit is a record of the ratelimit database.
type Ratelimit struct {
	// Stamp is when the rate was computed, in Unix microseconds; Rate is events per period then.
	Stamp int64
	Rate  float64
	// Unique is the Bloom filter of "unique=", UniqueEpoch its start (Unix), nil for other records.
	Unique      []byte `json:",omitempty"`
	UniqueEpoch int64  `json:",omitempty"`
}

// RatelimitTable is the data of the ratelimit ACL condition.
func RatelimitTable() Table[Ratelimit] {
	return Table[Ratelimit]{Name: "ratelimit", Doc: "rates of the ratelimit ACL condition",
		Show: func(w io.Writer, key string, _ time.Time, r Ratelimit, s Shower) {
			at := time.UnixMicro(r.Stamp)
			fmt.Fprintf(w, "%s.%06d rate: %10.3f key: %s\n", s.Time(at), at.Nanosecond()/1000, r.Rate, printable(key))
		}}
}

// TLSSession is a record of the tls database: a client session to resume.
type TLSSession struct {
	Session  []byte
	Verified bool
	OCSP     int
	// PeerDN, Expires: what the resumed session inherits; Expires in Unix seconds.
	PeerDN  string
	Expires int64
}

// TLSTable holds TLS sessions of servers we connected to.
func TLSTable() Table[TLSSession] {
	return Table[TLSSession]{Name: "tls", Doc: "TLS sessions for resumption",
		Show: func(w io.Writer, key string, stamp time.Time, r TLSSession, s Shower) {
			fmt.Fprintf(w, "  %s %s %d bytes\n", s.Time(stamp), printable(key), len(r.Session))
		}}
}

// Seen is a record of the seen database; all it says is its time stamp.
type Seen struct{}

// SeenTable holds when the keys of the seen ACL condition were last seen.
func SeenTable() Table[Seen] {
	return Table[Seen]{Name: "seen", Doc: "times of the seen ACL condition",
		Show: func(w io.Writer, key string, stamp time.Time, _ Seen, s Shower) {
			fmt.Fprintf(w, "%s\t%s\n", printable(key), s.Time(stamp))
		}}
}

// Misc is a record of the misc database: a count of deliveries or ETRN runs at work, or, under keys that end in
// ".EHLO", what a server offers.
type Misc struct {
	Count int   `json:",omitempty"`
	EHLO  *EHLO `json:",omitempty"`
}

// MiscTable holds counts for serialize_hosts, max_parallel and smtp_etrn_serialize, and what servers offer in EHLO.
func MiscTable() Table[Misc] {
	return Table[Misc]{Name: "misc", Doc: "serialization of ETRN, hosts and transports; EHLO answers",
		Show: func(w io.Writer, key string, stamp time.Time, r Misc, s Shower) {
			key = printable(key)
			if r.EHLO == nil {
				fmt.Fprintf(w, "  %s %s\n", s.Time(stamp), key)
				return
			}
			fmt.Fprintf(w, "%s %s\n", s.Time(stamp), key)
			e := r.EHLO
			fmt.Fprintf(w, "helo/ehlo %s clr %04x/%04x cry %04x/%04x lim %05d/%05d/%05d\n", strings.TrimSuffix(key, ".EHLO"),
				e.Clear, e.ClearAuths, e.Crypted, e.CryptedAuths, e.LimitMail, e.LimitRcpt, e.LimitDomain)
		}}
}

// EHLO is what a server offers, kept for early pipelining under the key "address:port.EHLO".
type EHLO struct {
	// Clear and Crypted are bits of offered extensions before and after STARTTLS; the Auths bits of authenticators.
	Clear, Crypted           uint16
	ClearAuths, CryptedAuths uint16
	// LimitMail, LimitRcpt and LimitDomain are the server's LIMITS, 0 for none.
	LimitMail, LimitRcpt, LimitDomain int
}
