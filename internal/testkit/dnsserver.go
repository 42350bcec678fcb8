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

	zones        *Zones
	mu           sync.Mutex
	queries      int
	truncateOver int
	alter        func(reply *mdns.Msg, tcp bool) *mdns.Msg
}

// TruncateOver makes UDP replies longer than n bytes come truncated; 0 for none.
func (s *DNSServer) TruncateOver(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.truncateOver = n
}

// Alter sets a function that may change a reply before it is sent; nil from it drops the reply. tcp says how it was asked. It may be called by
// several goroutines at once.
func (s *DNSServer) Alter(alter func(reply *mdns.Msg, tcp bool) *mdns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alter = alter
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
	truncateOver, alter := s.truncateOver, s.alter
	s.mu.Unlock()
	reply := new(mdns.Msg)
	reply.SetReply(m)
	reply.RecursionAvailable = true
	s.fill(reply, m.Question[0])
	if truncateOver > 0 && !tcp && reply.Len() > truncateOver {
		reply.Answer, reply.Truncated = nil, true
	}
	if alter != nil {
		if reply = alter(reply, tcp); reply == nil {
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
