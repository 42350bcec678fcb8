package acl

import (
	"errors"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// usesMessage tells whether the message modifier of a verb counts for a result of its conditions (spec 44.18).
func usesMessage(verb Verb, verdict Verdict, endpass bool) bool {
	switch verb {
	case Accept, DiscardVerb:
		return verdict == Fail || verdict == FailDrop || verdict == OK && !endpass
	case Require:
		return verdict == Fail || verdict == FailDrop
	}
	return verdict == OK
}

// messages expands the message and log_message modifiers when their time has come, and makes the texts of the outcome of
// them and of what conditions left.
func (r *Run) messages(verb Verb, verdict Verdict, endpass bool, userMessage, logMessage string) {
	if usesMessage(verb, verdict, endpass) {
		oldUser, oldLog := r.UserMessage, r.LogMessage
		if userMessage != "" || logMessage != "" {
			r.setVerifyMessage(oldUser)
		}
		if verb == Warn {
			// A warning has only the texts that it was given; conditions that hold have none to add.
			r.UserMessage, r.LogMessage = "", ""
			oldLog = ""
		}
		if userMessage != "" {
			if v, ok := r.expandMessage(userMessage); ok {
				r.UserMessage, r.tainted = v.S, v.Tainted
			}
		}
		if logMessage != "" {
			if v, ok := r.expandMessage(logMessage); ok {
				r.LogMessage = v.S
				if oldLog != "" {
					r.LogMessage += ": " + oldLog
				}
			}
		}
	}
	if r.LogMessage == "" && verb != Warn {
		r.LogMessage = r.UserMessage
	}
}

// expandMessage expands the text of a message or log_message modifier; ok is false when there is nothing to say.
func (r *Run) expandMessage(text string) (mail.Value, bool) {
	if shapeOf(text) == constant {
		return mail.Value{S: text}, true
	}
	v, err := r.Scope.Engine.Expand(r.Scope, text)
	if err != nil {
		if !errors.Is(err, expand.ErrForced) {
			r.log(LogMain|LogPanic, "failed to expand ACL message \""+text+"\": "+err.Error())
		}
		return mail.Value{}, false
	}
	return v, v.S != ""
}

// setVerifyMessage sets $acl_verify_message.
func (r *Run) setVerifyMessage(text string) {
	if text == "" && r.verifyMessage == "" {
		return
	}
	r.verifyMessage = text
	if r.Scope.Extra == nil {
		r.Scope.Extra = make(map[string]mail.Value)
	}
	r.Scope.Extra["acl_verify_message"] = mail.Value{S: text, Tainted: true}
}

// warned does what a warn statement does when its conditions were tested: a line in the log, and header lines of its
// message (spec 44.18).
func (r *Run) warned(verdict Verdict) {
	switch verdict {
	case OK:
		if r.LogMessage != "" {
			r.logWarning(r.LogMessage)
		}
		if r.UserMessage != "" {
			r.warnHeader(r.UserMessage)
		}
	case Defer:
		if r.Services.LogsSkipped == nil || r.Services.LogsSkipped(r.Scope) {
			text := ""
			if r.LogMessage != "" {
				text = ": " + r.LogMessage
			}
			r.log(LogMain, r.hostAndIdent()+"Warning: ACL \"warn\" statement skipped: condition test deferred"+text)
		}
	}
	r.UserMessage, r.LogMessage = "", ""
}

// logWarning writes "Warning: text", once a message (or, outside of messages, once a session).
func (r *Run) logWarning(text string) {
	text = r.hostAndIdent() + "Warning: " + text
	bag := r.messageBag()
	if bag != nil {
		logged := mail.State[warnings](bag)
		if logged.texts[text] {
			return
		}
		if logged.texts == nil {
			logged.texts = make(map[string]bool)
		}
		logged.texts[text] = true
	}
	r.log(LogMain, text)
}

// warnings are the log lines of warn statements that were written for a message.
type warnings struct{ texts map[string]bool }

// warnHeader adds the message of a warn statement as header lines.
func (r *Run) warnHeader(text string) {
	if !messagePhases.Has(r.Phase) {
		r.log(LogMain|LogPanic, "ACL \"warn\" with \"message\" setting found in a non-message ("+r.Phase.String()+") ACL: cannot specify header lines here: message ignored")
		return
	}
	r.pending().Add(text)
}

// messageBag is where state of the message at hand lives, or of the session when there is no message.
func (r *Run) messageBag() *mail.Bag {
	switch {
	case r.Scope.Message != nil:
		return &r.Scope.Message.Bag
	case r.Scope.Session != nil:
		return &r.Scope.Session.Bag
	}
	return nil
}

// log writes a line; only the first line of a text counts.
func (r *Run) log(targets LogTargets, line string) {
	if r.Services.Log != nil && targets != 0 {
		r.Services.Log(r.Scope, targets, line)
	}
}

func (r *Run) hostAndIdent() string {
	if r.Services.HostAndIdent == nil {
		return ""
	}
	text := r.Services.HostAndIdent(r.Scope)
	if text != "" && !strings.HasSuffix(text, " ") {
		text += " "
	}
	return text
}

// SplitCode takes the reply code and the extended code off a message: "550 5.1.1 text" (spec 44.21). fallback is the code that is
// sent by default ("550"); the first digit of the message's must be the same, else problem is the text for the panic
// log and the fallback is used without an extended code. extended is "" when there is none.
func SplitCode(fallback, message string) (code, extended, text, problem string) {
	n := codeLength(message)
	switch {
	case n == 0:
		return fallback, "", message, ""
	case message[0] != fallback[0]:
		return fallback, "", message[n:], "configured error code starts with incorrect digit (expected " + fallback[:1] + ") in \"" + message + "\""
	case n > 4:
		extended = message[4 : n-1]
	}
	return message[:3], extended, message[n:], ""
}

// codeLength returns the length of the codes at the start of a message with the white space after them, 0 for none: three digits
// and a space, then perhaps n.n.n (up to three digits in the last two) and a space.
func codeLength(m string) int {
	if len(m) < 4 || !digit(m[0]) || !digit(m[1]) || !digit(m[2]) || !isSpace(m[3]) {
		return 0
	}
	i := 4
	if i >= len(m) || !digit(m[i]) {
		return 4
	}
	i++
	for part := 0; part < 2; part++ {
		if i >= len(m) || m[i] != '.' {
			return 4
		}
		start := i + 1
		for i = start; i < len(m) && digit(m[i]) && i-start < 3; i++ {
		}
		if i == start {
			return 4
		}
	}
	if i < len(m) && isSpace(m[i]) {
		return i + 1
	}
	return 4
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
