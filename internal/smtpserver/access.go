package smtpserver

import (
	"strings"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
)

// runACL runs the ACL that an option names. A panic of configuration is an Error outcome.
func (s *Session) runACL(phase acl.Phase, text string) acl.Outcome {
	if s.svc.RunACL == nil {
		return acl.Outcome{Verdict: acl.Error, LogMessage: "no ACLs can be run", LogTargets: acl.LogMain | acl.LogReject}
	}
	outcome, err := s.svc.RunACL(s.ctx, s.Scope(), phase, text)
	if err != nil {
		outcome.Verdict = acl.Error
		if outcome.LogMessage == "" {
			outcome.LogMessage = err.Error()
		}
	}
	return outcome
}

// splitCode takes the code off a text for the client, and puts back the two codes as respond wants them.
func (s *Session) splitCode(fallback, message string, check bool) (code, text string) {
	code, extended, text, problem := acl.SplitCode(fallback, message)
	if problem != "" && check {
		s.logPanic(s.printable(problem))
	}
	if extended != "" {
		code += " " + extended
	}
	return code, text
}

// defaultCode is the reply code of a phase's rejection.
func defaultCode(phase acl.Phase, temporary bool) string {
	if temporary {
		return "451"
	}
	switch phase {
	case acl.ETRN:
		return "458"
	case acl.VRFY:
		return "252"
	case acl.Auth:
		return "503"
	}
	return "550"
}

// ACL is an ACL of a room's command that the configuration gives no phase of its own.
type ACL struct {
	// Word stands in the log after "rejected", Code is the default reply code of a denial.
	Word, Code string
}

// refuse answers a command that an ACL did not accept, and logs it. what stands after the phase's word in the log line: the
// argument of the command. It reports whether the session goes on.
func (s *Session) refuse(phase acl.Phase, outcome acl.Outcome, what string) bool {
	temporary := outcome.Verdict == acl.Defer || outcome.Verdict == acl.Error
	return s.refuseAs(refusal{phase: phase, outcome: outcome, what: what, code: defaultCode(phase, temporary), temporary: temporary})
}

// refuseMessage answers a message that an ACL refused after it was read; the reject log gets its header too.
func (s *Session) refuseMessage(m *mail.Message, result Received) {
	temporary := result.Refused.Verdict == acl.Defer || result.Refused.Verdict == acl.Error
	s.refuseAs(refusal{phase: result.Phase, outcome: *result.Refused, code: defaultCode(result.Phase, temporary), temporary: temporary,
		id: result.ID, message: m})
}

// refusal is an ACL's rejection on its way to client and log.
type refusal struct {
	phase     acl.Phase
	word      string // in place of the phase's, "" for that
	outcome   acl.Outcome
	what      string
	code      string
	temporary bool
	// id and message are set after the message was read.
	id      string
	message *mail.Message
}

func (s *Session) refuseAs(r refusal) bool {
	s.applyControls() // of the ACL that refuses, too
	o := &r.outcome
	userMessage := o.UserMessage
	drop := o.Verdict == acl.FailDrop
	if o.Verdict == acl.Error {
		userMessage = ""
	}
	logMessage := o.LogMessage
	code, text := r.code, userMessage
	if _, _, rest, problem := acl.SplitCode("550", userMessage); r.phase == acl.VRFY && problem == "" && rest != userMessage {
		r.code = "550" // 252 is for refusals without a code of their own
	}
	if userMessage != "" {
		code, text = s.splitCode(r.code, userMessage, true)
		if _, _, _, problem := acl.SplitCode(r.code, userMessage); problem != "" && logMessage == userMessage {
			logMessage = r.code + " " + text
		}
	}
	prefix := s.rejecter()
	s.senderFailure(r, prefix, code)
	if o.Verdict == acl.Defer && text == "Could not complete sender verify" && !s.main.SMTPReturnErrorDetails {
		text = ""
	}
	if text == "" {
		text = "Administrative prohibition"
		if r.temporary {
			text = "Temporary local problem - please try later"
		}
	}
	if s.noMultiline { // spec: control = no_multiline_responses
		text, _, _ = strings.Cut(text, "\n")
	} else {
		text = foldMessage(text)
	}
	s.respond(code, text, false)
	s.logRefusal(r, prefix, logMessage)
	if drop {
		s.drop("acl-drop", "", "")
		return false
	}
	return true
}

// senderFailure tells client and log why a sender's verification failed (spec 44.50).
func (s *Session) senderFailure(r refusal, prefix, code string) {
	failed := r.outcome.SenderFailure
	if failed == nil {
		return
	}
	if s.svc.Log.Has(eventlog.SenderVerifyFail) && !r.outcome.SenderFailureTold {
		kind := "fail"
		if failed.Result == acl.Defer {
			kind = "defer"
		}
		line := prefix + " sender verify " + kind + " for <" + s.printable(failed.Address) + ">"
		if failed.LogMessage != "" {
			line += ": " + s.printable(failed.LogMessage)
		}
		s.logReject(line)
	}
	if s.noMultiline {
		return
	}
	if failed.Result == acl.Defer {
		if r.outcome.SenderFailureTold && r.outcome.Verdict != acl.Defer {
			return
		}
		if text := failed.LogMessage; text != "" && s.main.SMTPReturnErrorDetails {
			s.respond(code, foldMessage(text), true)
		}
		return
	}
	if failed.NoDetails || failed.UserMessage == "" {
		return
	}
	format := "Verification failed for <"
	tail := ""
	switch failed.Failure {
	case "mail":
		format = "Callback setup failed while verifying <"
		tail = "\nThe initial connection, or a HELO or MAIL FROM:<> command was\n" +
			"rejected. Refusing MAIL FROM:<> does not help fight spam, disregards\n" +
			"RFC requirements, and stops you from receiving standard bounce\n" +
			"messages. This host does not accept mail from domains whose servers\n" +
			"refuse bounces."
	case "postmaster":
		format = "Postmaster verification failed while checking <"
		tail = "\nSeveral RFCs state that you are required to have a postmaster\n" +
			"mailbox for each mail domain. This host does not accept mail\n" +
			"from domains whose servers reject the postmaster address."
	}
	s.respond(code, format+failed.Address+">\n"+failed.UserMessage+tail, true)
}

// logRefusal writes the log line about a rejection.
func (s *Session) logRefusal(r refusal, prefix, logMessage string) {
	targets := r.outcome.LogTargets
	if targets == 0 {
		return
	}
	var b strings.Builder
	b.WriteString(prefix)
	b.WriteString(s.tlsRejectItems())
	switch r.phase {
	case acl.Rcpt, acl.Data, acl.PRDR, acl.MIME:
		b.WriteString(" F=<" + s.printable(s.sender()) + ">")
		if s.noun.Authenticator != "" {
			b.WriteString(" A=" + s.noun.Authenticator)
			if s.noun.AuthID != "" {
				b.WriteString(":" + s.printable(s.noun.AuthID))
			}
		}
	}
	b.WriteByte(' ')
	if r.temporary {
		b.WriteString("temporarily ")
	}
	b.WriteString("rejected ")
	b.WriteString(r.logWord())
	if r.what != "" {
		b.WriteString(" " + s.printable(r.what))
	}
	if logMessage != "" {
		first, _, more := strings.Cut(logMessage, "\n")
		if more && r.outcome.UserMessage == r.outcome.LogMessage {
			logMessage = first
		}
		b.WriteString(": " + s.printable(logMessage))
	}
	s.svc.Log.Write(eventlog.Entry{To: logStream(targets), ID: r.id, Text: b.String(), Rejected: r.message})
}

// logWord is the word of a phase after "rejected".
func (r refusal) logWord() string {
	if r.word != "" {
		return r.word
	}
	switch r.phase {
	case acl.Connect:
		return "connection in \"connect\" ACL"
	case acl.Predata:
		return "DATA"
	case acl.Data:
		return "after DATA"
	case acl.PRDR:
		return "after DATA PRDR"
	case acl.MIME:
		return "during MIME ACL checks"
	case acl.StartTLS, acl.Quit, acl.NotQuit, acl.Auth, acl.DKIM:
		return r.phase.String() + " "
	}
	return r.phase.String()
}

// logStream turns an outcome's logs into those of the log.
func logStream(t acl.LogTargets) eventlog.Stream {
	var to eventlog.Stream
	if t&acl.LogMain != 0 {
		to |= eventlog.Main
	}
	if t&acl.LogReject != 0 {
		to |= eventlog.Reject
	}
	if t&acl.LogPanic != 0 {
		to |= eventlog.Panic
	}
	return to
}

// tlsRejectItems are the TLS items of lines about rejections.
func (s *Session) tlsRejectItems() string { return s.tlsItems() }

// sender is the envelope sender in lines about rejections: as the client gave it.
func (s *Session) sender() string { return acl.SenderAsGiven(s.msg) }

// foldLimit is the length from which lines of replies are divided, foldColon where a colon begins to be the better place.
const (
	foldLimit = 75
	foldColon = 35
)

// foldMessage divides long lines of a text for the client as Exim does: at the first white space that follows a colon, if that is
// in the second half of the line, else at the last space there that fits, else at the first one that does not.
func foldMessage(text string) string {
	if len(text) <= foldLimit {
		return text
	}
	var out strings.Builder
	for {
		line, rest, more := strings.Cut(text, "\n")
		for len(line) > foldLimit {
			at := foldAt(line)
			if at < 0 {
				break
			}
			out.WriteString(line[:at] + "\n")
			line = line[at+1:]
		}
		out.WriteString(line)
		if !more {
			return out.String()
		}
		out.WriteByte('\n')
		text = rest
	}
}

// foldAt finds the space at which to divide a line, or -1.
func foldAt(line string) int {
	if i := strings.Index(line[foldColon:foldLimit+1], ": "); i >= 0 {
		return foldColon + i + 1
	}
	if i := strings.LastIndexByte(line[:foldLimit+1], ' '); i > foldColon {
		return i
	}
	if i := strings.IndexByte(line[foldLimit+1:], ' '); i >= 0 {
		return foldLimit + 1 + i
	}
	return -1
}

// matches tests the client against a host list.
func (s *Session) matches(list string) bool {
	switch list {
	case "":
		return false
	case "*":
		return true
	}
	if s.svc.MatchHost == nil {
		return false
	}
	ok, err := s.svc.MatchHost(s.Scope(), list, s.noun.HostName, s.noun.Host)
	if err != nil {
		if !expand.IsTemporary(err) {
			s.logPanic(s.printable(err.Error()))
		}
		return false
	}
	return ok
}
