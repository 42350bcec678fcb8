package testkit

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"

	"exigo/internal/outside"

	mdns "github.com/miekg/dns"
)

// DNSServer is a name server on the loopback interface, by UDP and TCP, that answers from Zones.
type DNSServer struct {
	// Address is where it listens, for both protocols.
	Address netip.AddrPort
	// TruncateOver makes UDP replies longer than it come truncated; 0 for none.
	TruncateOver int
	// Alter, if set, may change a reply before it is sent; returning nil drops it. tcp says how it was asked.
	Alter func(reply *mdns.Msg, tcp bool) *mdns.Msg

	zones   *Zones
	mu      sync.Mutex
	queries int
}

// NewDNSServer starts a server that stops when the test ends.
func NewDNSServer(t testing.TB, z *Zones) *DNSServer {
	t.Helper()
	s := &DNSServer{zones: z}
	for range 20 { // until a port is free for both protocols
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			l.Close()
			continue
		}
		s.Address = netip.MustParseAddrPort(l.Addr().String())
		servers := []*mdns.Server{
			{Listener: l, Handler: mdns.HandlerFunc(func(w mdns.ResponseWriter, m *mdns.Msg) { s.serve(w, m, true) })},
			{PacketConn: pc, Handler: mdns.HandlerFunc(func(w mdns.ResponseWriter, m *mdns.Msg) { s.serve(w, m, false) })},
		}
		for _, server := range servers {
			started := make(chan struct{})
			server.NotifyStartedFunc = func() { close(started) }
			go server.ActivateAndServe()
			<-started
			t.Cleanup(func() { server.Shutdown() })
		}
		return s
	}
	t.Fatal("no free port")
	return nil
}

// Queries returns how many queries came.
func (s *DNSServer) Queries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries
}

func (s *DNSServer) serve(w mdns.ResponseWriter, m *mdns.Msg, tcp bool) {
	s.mu.Lock()
	s.queries++
	s.mu.Unlock()
	reply := new(mdns.Msg)
	reply.SetReply(m)
	reply.RecursionAvailable = true
	s.fill(reply, m.Question[0])
	if s.TruncateOver > 0 && !tcp && reply.Len() > s.TruncateOver {
		reply.Answer, reply.Truncated = nil, true
	}
	if s.Alter != nil {
		if reply = s.Alter(reply, tcp); reply == nil {
			return
		}
	}
	w.WriteMsg(reply)
}

func (s *DNSServer) fill(reply *mdns.Msg, q mdns.Question) {
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	chain, rrs, canonical, exists, err := s.zones.find(fold(q.Name), q.Qtype)
	reply.AuthenticatedData = s.zones.isSecure(canonical)
	switch {
	case errors.Is(err, outside.ErrRefused):
		reply.Rcode = mdns.RcodeRefused
	case err != nil:
		reply.Rcode = mdns.RcodeServerFailure
	default:
		reply.Answer = append(chain, rrs...)
		if !exists {
			reply.Rcode = mdns.RcodeNameError
		}
	}
}
