package smtpserver

import (
	"context"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	"exigo/internal/config"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// Server serves SMTP sessions with one configuration. After the configuration was read again there is another Server; sessions
// keep the one they began with.
type Server struct {
	services Services
	main     *config.Main
	verbs    verbTable
	// extensions of core and rooms, in EHLO order.
	extensions []*Extension
	mailParams map[string]*Parameter
	rcptParams map[string]*Parameter
	// tables of the limits on connections; shared with the server before it, see Limiter.
	limiter *Limiter
}

// New makes a server. limiter counts connections for all servers of a process.
func New(services Services, limiter *Limiter) *Server {
	srv := &Server{services: services, main: option.Of[config.Main](services.Config.Main), limiter: limiter}
	if srv.limiter == nil {
		srv.limiter = NewLimiter()
	}
	srv.collect()
	return srv
}

// Start says how a session begins.
type Start struct {
	// TLSOnConnect begins TLS without STARTTLS, whatever the port (-tls-on-connect).
	TLSOnConnect bool
	// Local is set for sessions on standard input and output. NotSocket says that these are no socket: synchronisation is not
	// enforced. Noun gives what is known of the submitter or of the pretended host (-oMa and its like).
	Local, NotSocket bool
	Noun             *mail.Session
	// Batch is -bS: no replies; errors end the input.
	Batch bool
	// HostChecking is -bh: a pretended host, nothing is delivered.
	HostChecking bool
	// Untrusted says that senders given by the client are not believed (-bs by an ordinary user); Sender is then used.
	Untrusted bool
	Sender    string
	// Unqualified: addresses without domain are accepted as from sender_unqualified_hosts and recipient_unqualified_hosts.
	Unqualified bool
	// Timeout replaces smtp_receive_timeout (-os); -1 for none.
	Timeout time.Duration
	// ID is the connection's id.
	ID string
	// Protocol replaces $received_protocol (-oMr).
	Protocol string
	// QueueOnly: messages only go to the queue.
	QueueOnly bool
	// Debug is told the dialogue: direction is ">>" for commands, "<<" for replies.
	Debug func(direction, text string)
	// Error receives the report about an error in batch input.
	Error io.Writer
}

// Ended says how a session ended.
type Ended struct {
	// Quit is set when the client gave QUIT (or the input of a local session ended).
	Quit bool
	// Failed is set when the session was cut off or a batch had an error.
	Failed bool
	// Dropped is set when the client was cut off because of too many errors; -bs then has the exit status 1.
	Dropped bool
	// Messages is the number of messages accepted.
	Messages int
}

// Serve runs the session on a TCP connection and closes it. It takes part in the limits on connections; a connection over one of
// them is refused with 421.
func (srv *Server) Serve(ctx context.Context, conn net.Conn, start Start) Ended {
	defer conn.Close()
	if start.Noun == nil {
		start.Noun = &mail.Session{}
		start.Noun.Host, start.Noun.Port = endpoint(conn.RemoteAddr())
		start.Noun.Interface, start.Noun.InterfacePort = endpoint(conn.LocalAddr())
	}
	s := srv.newSession(ctx, conn, start)
	s.io.base = conn
	defer s.close()
	entry, ok := s.admit()
	defer srv.limiter.leave(entry)
	if !ok {
		s.io.flush()
		return Ended{Failed: true}
	}
	return s.run()
}

// ServeStream runs a session on standard input and output, or a socket that somebody else accepted (-bs, -bS, -bh).
func (srv *Server) ServeStream(ctx context.Context, stream io.ReadWriter, start Start) Ended {
	if start.Noun == nil {
		start.Noun = &mail.Session{}
	}
	s := srv.newSession(ctx, stream, start)
	defer s.close()
	if c, ok := stream.(net.Conn); ok {
		s.io.base = c
	}
	if !start.Batch && !start.HostChecking && s.logsConnection() {
		s.logMain(s.connectionInfo())
	}
	return s.run()
}

// connectionID makes a $connection_id: digits that no other connection of this process has, nor one of another that began in the
// same microsecond.
func (srv *Server) connectionID() string {
	return strconv.FormatInt(srv.services.World.Clock.Now().UnixMicro(), 10) + strconv.FormatUint(srv.limiter.sequence.Add(1), 10)
}

func (srv *Server) newSession(ctx context.Context, stream io.ReadWriter, start Start) *Session {
	s := &Session{srv: srv, svc: &srv.services, main: srv.main, noun: start.Noun, start: start, ctx: ctx}
	s.io.conn = stream
	s.silent = start.Batch
	if s.noun.Started.IsZero() {
		s.noun.Started = srv.services.World.Clock.Now()
	}
	s.noun.SMTP, s.noun.Batch = true, start.Batch
	s.noun.Local = s.noun.Local || start.Local
	if s.noun.ConnectionID == "" {
		s.noun.ConnectionID = start.ID
	}
	if s.noun.ConnectionID == "" {
		s.noun.ConnectionID = srv.connectionID()
	}
	s.hostname = srv.main.PrimaryHostname
	s.attach()
	s.newMessage()
	s.msg.Controls.NoEnforceSync = !srv.main.SMTPEnforceSync
	s.applyControls()
	return s
}

// run is the whole session. It recovers from a panic: the client gets 421.
func (s *Session) run() (ended Ended) {
	defer func() {
		if r := recover(); r != nil {
			s.logPanic("internal error in SMTP session with " + s.who(false) + ": " + s.printable(panicText(r)) + "\n" + string(debug.Stack()))
			s.silent = false
			s.line("421 " + s.hostname + " internal error - closing connection")
			s.io.flush()
			ended = Ended{Failed: true, Messages: s.noun.Messages}
		}
	}()
	if !s.begin() {
		s.finish()
		return Ended{Failed: true, Messages: s.noun.Messages}
	}
	s.loop()
	s.finish()
	return Ended{Quit: s.quit, Failed: s.failed, Dropped: s.dropped && !s.start.HostChecking, Messages: s.noun.Messages}
}

func panicText(r any) string {
	if err, ok := r.(error); ok {
		return err.Error()
	}
	if text, ok := r.(string); ok {
		return text
	}
	return "panic"
}

// endpoint divides a TCP address; IPv4-mapped addresses become IPv4.
func endpoint(a net.Addr) (netip.Addr, int) {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, 0
	}
	ip, ok := netip.AddrFromSlice(t.IP)
	if !ok {
		return netip.Addr{}, 0
	}
	return ip.Unmap(), t.Port
}
