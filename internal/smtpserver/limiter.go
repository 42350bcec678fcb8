package smtpserver

import (
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"

	"exigo/internal/eventlog"
)

// Limiter counts the connections of a process. It is safe for concurrent use.
type Limiter struct {
	mu      sync.Mutex
	total   int
	perHost map[netip.Addr]int
	// sequence counts all sessions, for their ids.
	sequence atomic.Uint64
}

// NewLimiter makes a Limiter.
func NewLimiter() *Limiter { return &Limiter{perHost: make(map[netip.Addr]int)} }

// Connections returns the number of connections at the moment.
func (l *Limiter) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// enter counts a connection and returns the numbers before it; with a limit of connections (0: none) reached it counts nothing.
func (l *Limiter) enter(host netip.Addr, limit int) (total, fromHost int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limit > 0 && l.total >= limit {
		return l.total, l.perHost[host], false
	}
	total, fromHost = l.total, l.perHost[host]
	l.total++
	l.perHost[host]++
	return total, fromHost, true
}

// leave forgets a connection that enter counted.
func (l *Limiter) leave(host netip.Addr) {
	if !host.IsValid() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.perHost[host]--; l.perHost[host] <= 0 {
		delete(l.perHost, host)
	}
}

// admit counts a connection from the network and refuses it when there are too many (spec: smtp_accept_max, _per_host, _reserve,
// smtp_load_reserve). The address is what leave wants.
func (s *Session) admit() (counted netip.Addr, ok bool) {
	host := s.noun.Host
	if !host.IsValid() {
		host = netip.IPv4Unspecified()
	}
	total, fromHost, ok := s.srv.limiter.enter(host, s.main.SMTPAcceptMax)
	if !ok {
		s.line("421 Too many concurrent SMTP connections; please try again later.")
		s.refusedConnection("too many connections")
		return netip.Addr{}, false
	}
	if s.main.SMTPAcceptMaxPerHost != "" {
		if limit, err := s.expandInt(string(s.main.SMTPAcceptMaxPerHost)); err != nil {
			s.logPanic("expansion of smtp_accept_max_per_host failed for " + s.who(false) + ": " + s.printable(err.Error()))
		} else if limit > 0 && int64(fromHost) >= limit {
			s.line("421 Too many concurrent SMTP connections from this IP address; please try again later.")
			s.refusedConnection("too many connections from that IP address")
			return host, false
		}
	}
	if !s.loadAllows() {
		return host, false
	}
	s.connections = total + 1
	s.describe()
	s.logConnection(s.connections)
	if s.main.SMTPAcceptMax > 0 && s.main.SMTPAcceptReserve > 0 && total >= s.main.SMTPAcceptMax-s.main.SMTPAcceptReserve && !s.reserved() {
		s.temporarilyRefused("Too many concurrent SMTP connections", "not in reserve list: connected="+strconv.Itoa(total)+
			" max="+strconv.Itoa(s.main.SMTPAcceptMax)+" reserve="+strconv.Itoa(s.main.SMTPAcceptReserve))
		return host, false
	}
	if s.main.SMTPAcceptQueue > 0 && total >= s.main.SMTPAcceptQueue {
		s.start.QueueOnly = true
	}
	return host, true
}

// temporarilyRefused refuses a client for which no connection is reserved.
func (s *Session) temporarilyRefused(public, private string) {
	s.line("421 " + s.hostname + ": " + public + "; please try again later")
	s.logSelected(eventlog.ConnectionReject, "temporarily refused connection from "+s.who(false)+": "+private)
}

// logsConnection tells whether the log says when the connection begins and ends (selector smtp_connection, hosts_connection_nolog).
func (s *Session) logsConnection() bool {
	if s.connectionLog == 0 {
		s.connectionLog = 1
		if list := s.main.HostsConnectionNoLog; !s.svc.Log.Has(eventlog.SMTPConnection) || list != "" && s.matches(string(list)) {
			s.connectionLog = -1
		}
	}
	return s.connectionLog > 0
}

// logConnection is the line of selector smtp_connection.
func (s *Session) logConnection(count int) {
	if !s.logsConnection() {
		return
	}
	text := "SMTP connection from " + s.who(false)
	if s.svc.Log.Has(eventlog.ConnectionID) && s.noun.ConnectionID != "" {
		text += " Ci=" + s.noun.ConnectionID
	}
	s.logMain(text + " (TCP/IP connection count = " + strconv.Itoa(count) + ")")
}

func (s *Session) refusedConnection(why string) {
	if s.svc.Log.Has(eventlog.ConnectionReject) {
		s.logMain("Connection from " + s.who(false) + " refused: " + why)
	}
}

func (s *Session) reserved() bool {
	return s.main.SMTPReserveHosts != "" && s.matches(string(s.main.SMTPReserveHosts))
}

// loadAllows obeys smtp_load_reserve.
func (s *Session) loadAllows() bool {
	if s.main.SMTPLoadReserve == nil || s.svc.World.LoadAverage == nil {
		return true
	}
	load, known := s.svc.World.LoadAverage()
	if known {
		s.noun.Load = load
	}
	if !known || load <= int(*s.main.SMTPLoadReserve) || s.reserved() {
		return true
	}
	if s.main.SMTPReserveHosts == "" {
		s.line("421 Too much load; please try again later.")
		s.refusedConnection("load average = " + fixedText(load))
		return false
	}
	s.temporarilyRefused("Too much load", "not in reserve list and load average = "+fixedText(load))
	return false
}

// fixedText writes thousandths with two places after the point.
func fixedText(thousandths int) string {
	hundredths := thousandths / 10
	text := strconv.Itoa(hundredths / 100)
	return text + "." + strconv.Itoa(hundredths/10%10) + strconv.Itoa(hundredths%10)
}
