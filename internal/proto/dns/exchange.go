package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

// udpSize is the EDNS0 payload size that avoids fragments (DNS flag day 2020).
const udpSize = 1232

// exchange sends one query to one server by UDP, and by TCP when the reply is truncated.
func (r *Resolver) exchange(ctx context.Context, server netip.AddrPort, wire string, k key, edns bool, timeout time.Duration) (*mdns.Msg, error) {
	m := new(mdns.Msg)
	m.Id = uint16(rand.Uint32())
	m.RecursionDesired, m.AuthenticatedData = true, true
	m.Question = []mdns.Question{{Name: wire, Qtype: k.rrtype, Qclass: mdns.ClassINET}}
	if edns || k.do {
		m.SetEdns0(udpSize, k.do)
	}
	query, err := m.Pack()
	if err != nil {
		return nil, err
	}
	reply, err := r.once(ctx, "udp", server, query, m, timeout)
	if err == nil && reply.Truncated {
		reply, err = r.once(ctx, "tcp", server, query, m, timeout)
	}
	return reply, err
}

func (r *Resolver) once(ctx context.Context, network string, server netip.AddrPort, query []byte, m *mdns.Msg, timeout time.Duration) (*mdns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dial := r.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		return exchangeTCP(conn, query, m)
	}
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		if reply := parse(buffer[:n], m); reply != nil {
			return reply, nil
		} // a forged or late reply: go on waiting
	}
}

func exchangeTCP(conn net.Conn, query []byte, m *mdns.Msg) (*mdns.Msg, error) {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, len(query)+2), uint16(len(query)))
	if _, err := conn.Write(append(framed, query...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	reply := parse(body, m)
	if reply == nil || reply.Truncated {
		return nil, errors.New("bad reply by TCP")
	}
	return reply, nil
}

// parse returns the reply if it is one to the query: same id, same question. A reply whose records cannot be read but whose header
// says truncated is still a reply.
func parse(packet []byte, query *mdns.Msg) *mdns.Msg {
	if len(packet) < 12 || binary.BigEndian.Uint16(packet) != query.Id || packet[2]&0x80 == 0 {
		return nil
	}
	reply := new(mdns.Msg)
	if err := reply.Unpack(packet); err != nil {
		if packet[2]&0x02 == 0 {
			return nil
		}
		reply.Truncated = true
	}
	if len(reply.Question) > 0 {
		q, want := reply.Question[0], query.Question[0]
		if !strings.EqualFold(Text(q.Name), Text(want.Name)) || q.Qtype != want.Qtype || q.Qclass != want.Qclass {
			return nil
		}
	} else if reply.Rcode == mdns.RcodeSuccess && !reply.Truncated {
		return nil
	}
	return reply
}

// The bounds of how long an answer is kept.
const (
	maxTTL     = 24 * time.Hour
	maxNegTTL  = 15 * time.Minute
	failureTTL = 5 * time.Second
	minTTL     = time.Second
)

// maxChain bounds the CNAMEs of one reply.
const maxChain = 32

// interpret finds the records of the type asked for behind the name. open is the name that a CNAME chain ends in without records, to be
// asked for next; "" when the reply settles the question.
func interpret(reply *mdns.Msg, wire string, rrtype uint16) (a Answer, open string, ttl time.Duration, err error) {
	owner := strings.ToLower(wire)
	if len(reply.Question) > 0 { // the same name, with the same escapes as the records
		owner = strings.ToLower(reply.Question[0].Name)
	}
	a = Answer{Name: spelling(reply.Answer, owner), Secure: reply.AuthenticatedData, Authoritative: reply.Authoritative}
	seconds := uint32(maxTTL / time.Second)
	followed := 0
	for rrtype != mdns.TypeCNAME && rrtype != mdns.TypeANY {
		target, t, ok := cname(reply.Answer, owner)
		if !ok || followed == maxChain {
			break
		}
		owner, seconds = strings.ToLower(target), min(seconds, t)
		followed++
	}
	for _, rr := range reply.Answer {
		h := rr.Header()
		if (h.Rrtype == rrtype || rrtype == mdns.TypeANY) && h.Class == mdns.ClassINET && strings.EqualFold(h.Name, owner) {
			a.Records = append(a.Records, rr)
			seconds = min(seconds, h.Ttl)
		}
	}
	a.Canonical = Name(owner)
	a.Authority = authority(reply)
	if len(a.Records) > 0 {
		return a, "", max(time.Duration(seconds)*time.Second, minTTL), nil
	}
	ttl = negativeTTL(reply, time.Duration(seconds)*time.Second)
	if reply.Rcode == mdns.RcodeNameError {
		return a, "", ttl, ErrNoHost
	}
	if followed > 0 {
		return a, owner, ttl, ErrNoData
	}
	return a, "", ttl, ErrNoData
}

// spelling is a name as the records spell it; names with escapes are in lower case.
func spelling(records []mdns.RR, owner string) string {
	for _, rr := range records {
		name := rr.Header().Name
		if !strings.EqualFold(name, owner) {
			continue
		}
		if strings.Contains(name, `\`) {
			return Name(name)
		}
		return strings.TrimSuffix(name, ".")
	}
	return ""
}

func cname(records []mdns.RR, owner string) (target string, ttl uint32, ok bool) {
	for _, rr := range records {
		if c, is := rr.(*mdns.CNAME); is && strings.EqualFold(c.Hdr.Name, owner) {
			return c.Target, c.Hdr.Ttl, true
		}
	}
	return "", 0, false
}

func authority(reply *mdns.Msg) string {
	want := uint16(mdns.TypeNS)
	if len(reply.Answer) == 0 {
		want = mdns.TypeSOA
	}
	for _, rr := range reply.Ns {
		if rr.Header().Rrtype == want {
			return Name(rr.Header().Name)
		}
	}
	return ""
}

// negativeTTL is how long to remember that there is nothing (RFC 2308, 5): the smaller of the SOA's own TTL and its minimum.
func negativeTTL(reply *mdns.Msg, limit time.Duration) time.Duration {
	ttl := failureTTL
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*mdns.SOA); ok {
			ttl = time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second
			break
		}
	}
	return max(min(ttl, limit, maxNegTTL), minTTL)
}
