package smtpserver

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"

	"exigo/internal/acl"
	"exigo/internal/auth"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
)

// Session is one SMTP session. Rooms' extensions get it; what they may use are its exported methods.
type Session struct {
	srv   *Server
	svc   *Services
	main  *config.Main
	noun  *mail.Session
	msg   *mail.Message
	scope *expand.Scope
	start Start
	ctx   context.Context
	io    channel

	// hostname is smtp_active_hostname, or the primary one.
	hostname string
	// helloGiven: HELO or EHLO was accepted. sizeLimit is message_size_limit.
	helloGiven bool
	sizeLimit  int64
	// What the last EHLO offered.
	pipelining, chunking, dsn, authOffered, startTLSOffered, utf8 bool
	offered                                                       map[string]bool // names of extensions, for parameters

	// unqualifiedSender and unqualifiedRecipient: addresses without domain are completed.
	unqualifiedSender, unqualifiedRecipient bool
	enforceSync, noMultiline, noPipelining  bool
	pipelined                               bool // the client has made use of PIPELINING
	// earlyPipelining: the client may send before the banner and the reply to EHLO (PIPECONNECT).
	earlyPipelining bool

	// counters (spec 49.4 to 49.6)
	synprotErrors, unknownCommands, nonmail, mails int
	maxPerConnection                               int
	rsetUncounted, heloUncounted                   bool // the next one is free
	authUncounted, tlsUncounted                    bool
	nonmailLimited                                 int8 // does smtp_accept_max_nonmail apply: 0 not yet known, 1 yes, -1 no

	// the transaction
	discardedBy                      string
	discarded                        int // recipients that ACLs discarded
	discards                         []Discard
	declaredSize                     int64 // SIZE of MAIL
	mailNote                         string
	rcptORCPT                        string
	rcptNotify                       mail.Notify
	rcptNotifySet                    bool
	wasRejectedMail, wasRcpt         bool
	msgTaken                         bool // msg was accepted: who delivers it has it alone
	lastWasRejectedMail, lastWasRcpt bool // of the command before
	noteRcpt                         bool // replies are replies to RCPT
	rcptReply                        string
	rcptReplySame                    bool
	recipientsMax                    int
	recipientsOver                   bool // some were refused because there were too many
	discarding                       bool // an ACL said discard: recipients are accepted and dropped
	chunks                           *chunkState
	mailDelay, rcptDelay             rateLimit
	rateLimited                      bool

	advertised    authAdvertised
	authenticator *auth.Authenticator // that authenticated the client
	tlsFailed     bool                // a handshake failed
	refuseAll     string              // the reply to everything but QUIT, "" for none
	historyLost   bool
	mailSeen      bool // a MAIL command was given (smtp_no_mail)
	lastCommand   string

	onConnect bool // TLS begins with the connection
	silent    bool // -bS
	// connections is how many connections there were when this one began, itself included; 0 for one that was not accepted here.
	connections int
	// connectionLog is whether the beginning and the end of this connection are logged: 0 not known yet, 1 yes, -1 no.
	connectionLog int8
	lastReply     string
	batchStart    int   // line of batch input after which the transaction began
	dataSeen      int64 // bytes of the message at which input ended
	clientGone    bool  // the client went away after the final dot
	bodyLost      bool  // input ended within the body
	// addressProblem is what was wrong with an address, without the address, for batch input.
	addressProblem string
	quit           bool
	failed         bool
	dropped        bool
	done           bool
}

// newMessage begins a transaction: nothing of an earlier message stays.
func (s *Session) newMessage() {
	controls := mail.Controls{}
	s.dropOnward()
	if s.msg != nil {
		acl.KeepForSession(&controls, s.msg.Controls)
	}
	s.msg = &mail.Message{Session: s.noun, Controls: controls, Size: -1,
		AllowUnqualifiedSender: s.unqualifiedSender, AllowUnqualifiedRecipient: s.unqualifiedRecipient}
	s.scope, s.msgTaken = nil, false
	s.noun.Recipients, s.noun.RcptCount, s.noun.RcptDefer, s.noun.RcptFail = 0, 0, 0, 0
	s.wasRejectedMail, s.wasRcpt = false, false
	s.rcptReply, s.rcptReplySame = "", false
	s.recipientsOver, s.discarding = false, false
	s.declaredSize, s.mailNote, s.discarded, s.discardedBy, s.discards = 0, "", 0, "", nil
	s.chunks = nil
}

// dropOnward ends the connection onward that the message at hand may have.
func (s *Session) dropOnward() {
	if s.msg != nil && s.svc.Onward != nil && !s.msgTaken {
		s.svc.Onward.Drop(s.msg)
	}
}

// loop reads and obeys commands until the session ends.
func (s *Session) loop() {
	for !s.done {
		line, nul, tooLong, err := s.io.readLine()
		if err != nil {
			s.inputEnded(err)
			return
		}
		if nul || tooLong {
			s.badLine(line, nul)
			continue
		}
		s.command(line)
	}
	s.io.flush()
}

// badLine answers a line that cannot be a command.
func (s *Session) badLine(line string, nul bool) {
	s.lastCommand = line
	if s.refuseAll != "" { // after a failed handshake it is most likely TLS
		s.line(s.refuseAll)
		return
	}
	if !nul {
		s.synprot(true, 500, "line too long")
		return
	}
	s.lastCommand = strings.ReplaceAll(line, "\x00", "?")
	s.synprotAs(true, 501, "NUL characters are not allowed in SMTP commands", "NUL character(s) present (shown as '?')")
}

// command obeys one command line.
func (s *Session) command(line string) {
	s.log3(">>", line)
	s.lastCommand = line
	verb, argument := s.srv.verbs.find(line)
	s.noun.Command, s.noun.Argument = line, argument
	if s.start.Batch && verb != nil {
		s.batchCommand(verb, argument)
		return
	}
	if s.refuseAll != "" && (verb == nil || verb.Name != "QUIT") {
		s.line(s.refuseAll)
		return
	}
	if verb == nil {
		s.checkedUnknown()
		if s.start.Batch {
			s.batchCheck()
		}
		return
	}
	s.remember(verb.Name)
	if verb.NoArgument && argument != "" {
		s.synprot(true, 501, "unexpected argument data")
		return
	}
	if !s.synchronised(verb.Sync) {
		return
	}
	if !verb.Mail && s.tooManyNonmail(verb.Name) {
		return
	}
	if s.pipelining && len(s.io.pending()) > 0 {
		s.pipelined = true
	}
	s.lastWasRcpt, s.lastWasRejectedMail = s.wasRcpt, s.wasRejectedMail
	s.wasRcpt, s.wasRejectedMail = false, false
	mark := len(s.io.out)
	verb.Run(s, argument)
	s.applyControls()
	if verb.Sync == SyncUnlessPipelining && !s.done && s.syncDue(verb.Sync) {
		s.lateSync(mark)
	}
}

// remember keeps the names of commands for log lines, the last twenty.
func (s *Session) remember(name string) {
	if i := strings.IndexByte(name, ' '); i >= 0 {
		name = name[:i]
	}
	if len(s.noun.History) >= 20 {
		copy(s.noun.History, s.noun.History[1:])
		s.noun.History = s.noun.History[:19]
		s.historyLost = true
	}
	s.noun.History = append(s.noun.History, name)
}

// applyControls takes over what ACLs decided about the connection.
func (s *Session) applyControls() {
	c := &s.msg.Controls
	s.noMultiline, s.noPipelining, s.enforceSync = c.NoMultilineReply, c.NoPipelining, !c.NoEnforceSync
}

// checkedUnknown answers a command that is not known; too many of them end the session (spec 49.4).
func (s *Session) checkedUnknown() {
	if !s.synchronised(SyncAlways) {
		return
	}
	s.unknownCommands++
	if s.unknownCommands > s.main.SMTPMaxUnknownCommands {
		s.drop("bad-commands", "500", "Too many unrecognized commands")
		s.logReject("SMTP call from " + s.who(false) + " dropped: too many unrecognized commands (last was \"" + s.printable(s.lastCommand) + "\")")
		return
	}
	s.synprot(true, 500, "unrecognized command")
}

// synprot answers a syntax or protocol error; too many of them end the session (spec 49.5). code 0: the reply was given before.
func (s *Session) synprot(syntax bool, code int, text string) { s.synprotAs(syntax, code, text, text) }

// synprotAs is synprot with another text for the log.
func (s *Session) synprotAs(syntax bool, code int, text, private string) {
	selector, kind := eventlog.SMTPProtocolError, "protocol"
	if syntax {
		selector, kind = eventlog.SMTPSyntaxError, "syntax"
	}
	if s.svc.Log.Has(selector) {
		s.logMain("SMTP " + kind + " error in \"" + s.printable(s.lastCommand) + "\" " + s.who(true) + " " + s.printable(private))
	}
	s.event("smtp:fail:"+kind, text)
	s.synprotErrors++
	over := s.synprotErrors > s.main.SMTPMaxSynProtErrors
	if code > 0 {
		s.line(replyCode(code, over) + text)
	}
	if over {
		s.tooManyErrors(code)
	}
}

// tooManyErrors ends the session after the last error, of which a reply line with the code was given (0: a whole reply).
func (s *Session) tooManyErrors(code int) {
	s.dropped = true
	if code > 0 {
		s.line(replyCode(code, false) + "Too many syntax or protocol errors")
	}
	s.incomplete("too many syntax or protocol errors")
	s.logReject("SMTP call from " + s.who(false) + " dropped: too many syntax or protocol errors (last command was \"" +
		s.printable(s.lastCommand) + "\", " + s.history() + ")")
	s.done, s.failed = true, true // not for the ACL for sessions without QUIT: Exim does not run it either
}

// replyCode makes "501 " or, where a line follows, "501-".
func replyCode(code int, more bool) string {
	b := [4]byte{byte('0' + code/100), byte('0' + code/10%10), byte('0' + code%10), ' '}
	if more {
		b[3] = '-'
	}
	return string(b[:])
}

// drop ends the session without QUIT, as notQuit has it.
func (s *Session) drop(reason, code, text string) {
	s.done, s.failed = true, true
	s.notQuit(reason, code, text)
}

// inputEnded ends the session because there is no more input: end of file, a timeout, or a broken connection.
func (s *Session) inputEnded(err error) {
	s.done = true
	if s.start.Batch {
		s.batchEnd()
		return
	}
	switch {
	case errors.Is(err, errTimeout):
		if s.svc.Log.Has(eventlog.LostIncomingConnection) {
			s.logMain("SMTP command timeout on " + s.transportName() + "connection from " + s.who(false) + " D=" + s.elapsed())
		}
		s.notQuit("command-timeout", "421", s.hostname+": SMTP command timeout - closing connection")
	case s.ctx.Err() != nil:
		s.logMain("SMTP connection from " + s.who(false) + " closed after SIGTERM")
		s.notQuit("signal-exit", "421", s.hostname+": Service not available - closing connection")
	default:
		s.connectionLost(err)
	}
	s.failed = true
	s.io.flush()
}

// transportName is the word before "connection" in log lines under TLS.
func (s *Session) transportName() string {
	if s.noun.TLS != nil {
		return "TLS "
	}
	return ""
}

// connectionLost logs that the client went away.
func (s *Session) connectionLost(err error) {
	if !s.tlsFailed && s.msg.SenderSet {
		s.incomplete("connection lost")
	}
	s.notQuit("connection-lost", "421", s.hostname+" lost input connection")
	cause := ""
	if err != io.EOF && err != io.ErrUnexpectedEOF {
		cause = " (error: " + s.printable(errorText(err)) + ")"
	}
	switch {
	case s.tlsFailed:
		if s.logsConnection() {
			s.logMain(s.connectionInfo() + " D=" + s.elapsed() + " closed by EOF")
		}
	case s.msg.SenderSet:
		if s.svc.Log.Has(eventlog.LostIncomingConnection) {
			s.logMain("unexpected " + s.disconnection() + " while reading SMTP command from " + s.who(false) + cause + " D=" + s.elapsed())
		}
	case s.logsConnection():
		s.logMain(s.connectionInfo() + " lost" + cause + " D=" + s.elapsed())
	}
}

func (s *Session) disconnection() string {
	if s.start.NotSocket {
		return "EOF"
	}
	return "disconnection"
}

// incomplete logs that a transaction ended before its message (selector smtp_incomplete_transaction).
func (s *Session) incomplete(what string) {
	if !s.msg.SenderSet || !s.svc.Log.Has(eventlog.SMTPIncompleteTransaction) {
		return
	}
	var b strings.Builder
	b.WriteString(s.who(true) + " incomplete transaction (" + what + ") from <" + s.printable(s.msg.Sender) + ">")
	if s.svc.Log.Has(eventlog.ReceivedRecipients) && len(s.msg.Recipients) > 0 {
		b.WriteString(" for")
		for _, r := range s.msg.Recipients {
			b.WriteString(" " + s.printable(r.Address))
		}
	}
	s.logMain(b.String())
}

// errorText is the text of a system error as Exim prints it: "Connection reset by peer".
func errorText(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		text := number.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}

// event raises an event (spec 61); its result is for those events that a result may change.
func (s *Session) event(name, data string) string {
	if s.svc.Event == nil {
		return ""
	}
	return s.svc.Event(s.ctx, s.Scope(), name, data)
}
