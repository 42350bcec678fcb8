package acl

import (
	"context"
	"errors"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// Condition is one condition or modifier of the ACL language.
type Condition struct {
	Name string
	// Modifier is set for modifiers; they cannot be negated.
	Modifier bool
	// Phases are those in which it may stand.
	Phases PhaseSet
	// Expand says that the argument is expanded before Check sees it. Lists are expanded when they are matched.
	Expand bool
	// Placeholder marks a condition that is known but that no room provides; a room's row takes its place.
	Placeholder bool
	// Check tests the condition or does what the modifier says. It returns OK or Fail, or Defer or Error
	// after having set r.LogMessage. What it leaves in r.UserMessage and r.LogMessage on Fail is what a rejection says.
	Check func(r *Run, argument mail.Value) Verdict
	Doc   string
}

// Run is one ACL at work; conditions get it.
type Run struct {
	Ctx      context.Context
	Scope    *expand.Scope
	Phase    Phase
	Services *Services
	// UserMessage and LogMessage are the texts of the outcome so far.
	UserMessage, LogMessage string
	// Verb is that of the statement at hand; Variable is the name that "set" sets.
	Verb     Verb
	Variable string

	setting       *Setting
	program       *Program
	depth         int
	targets       LogTargets
	verifyMessage string
	tainted       bool
	command       rates // those computed for the command at hand
}

// Mistake sets the log message and returns Error.
func (r *Run) Mistake(text string) Verdict {
	r.LogMessage = text
	return Error
}

// Deferred sets the log message and returns Defer.
func (r *Run) Deferred(text string) Verdict {
	r.LogMessage = text
	return Defer
}

// tracing tells whether there is a trace (-bh, -d). What passes values to debug asks first, where it is run for each statement: to put them
// into interfaces takes memory.
func (r *Run) tracing() bool { return r.Scope.Debug != nil }

// debug tells a trace what goes on.
func (r *Run) debug(format string, args ...any) {
	if r.Scope.Debug != nil {
		r.Scope.Debug(strings.Repeat(" ", r.depth)+format, args...)
	}
}

// traceEnd tells a trace how an ACL ended.
func (r *Run) traceEnd(name, how string) {
	if r.tracing() {
		r.debug("end of %s: %s", name, how)
	}
}

// run obeys the statements of an ACL.
func (r *Run) run(l *accessList) Verdict {
	n := mail.State[nesting](&r.Scope.Bag)
	around := *n
	*n = nesting{phase: r.Phase, level: r.depth + 1}
	defer func() { *n = around }()
	if r.depth == 0 && r.tracing() {
		r.debug("using %s", l.name)
	}
	for i := range l.statements {
		st := &l.statements[i]
		r.UserMessage, r.LogMessage = "", ""
		if r.tracing() {
			r.debug("processing \"%s\" (%s %d)", st.verb, st.file, st.line)
		}
		r.Verb = st.verb
		verdict, endpass := r.conditions(st)
		r.setVerifyMessage("")
		r.trace(st, verdict, l.name)
		if verdict == Error || verdict == Defer && st.verb != Warn {
			return verdict
		}
		if final, stop := r.obey(st, verdict, endpass, l.name); stop {
			if r.depth == 0 && (r.Phase == Quit || r.Phase == NotQuit) && st.verb != Accept {
				return r.Mistake("QUIT or not-QUIT toplevel ACL may not fail ('" + st.verb.String() + "' verb used incorrectly)")
			}
			return final
		}
	}
	r.traceEnd(l.name, "implicit DENY")
	return Fail
}

// trace says how the conditions of a statement came out.
func (r *Run) trace(st *statement, verdict Verdict, name string) {
	if !r.tracing() {
		return
	}
	text := map[Verdict]string{OK: "succeeded", Fail: "failed", Defer: "deferred", Error: "error",
		Discard: "yielded \"discard\"", FailDrop: "yielded \"drop\""}[verdict]
	r.debug("%s: condition test %s in %s", st.verb, text, name)
}

// obey does what the verb says for the result of its conditions. stop is false when the next statement is to be tried.
func (r *Run) obey(st *statement, verdict Verdict, endpass bool, name string) (final Verdict, stop bool) {
	held := verdict == OK || verdict == Discard
	switch st.verb {
	case Accept:
		if held {
			r.traceEnd(name, "ACCEPT")
			return verdict, true
		}
		if endpass {
			r.debug("accept: endpass encountered - denying access")
			return verdict, true
		}
	case DiscardVerb:
		if held {
			r.traceEnd(name, "DISCARD")
			return Discard, true
		}
		if endpass {
			r.debug("discard: endpass encountered - denying access")
			return verdict, true
		}
	case DeferVerb:
		if verdict == OK {
			r.traceEnd(name, "DEFER")
			return Defer, true
		}
	case Deny:
		if verdict == OK {
			r.traceEnd(name, "DENY")
			return Fail, true
		}
	case Drop:
		if verdict == OK {
			r.traceEnd(name, "DROP")
			return FailDrop, true
		}
	case Require:
		if verdict != OK {
			r.traceEnd(name, "not OK")
			return verdict, true
		}
	case Warn:
		r.warned(verdict)
	}
	return OK, false
}

// conditions goes through the conditions and modifiers of a statement until one fails.
func (r *Run) conditions(st *statement) (verdict Verdict, endpass bool) {
	var userMessage, logMessage string
	verdict = OK
	for i := range st.clauses {
		c := &st.clauses[i]
		switch c.row.Name {
		case "message":
			if r.tracing() {
				r.debug("  message: %s", c.argument)
			}
			userMessage = c.argument
			continue
		case "log_message":
			if r.tracing() {
				r.debug("l_message: %s", c.argument)
			}
			logMessage = c.argument
			continue
		case "endpass":
			endpass = true
			continue
		}
		if verdict = r.condition(c); verdict != OK {
			break
		}
	}
	r.messages(st.verb, verdict, endpass, userMessage, logMessage)
	return verdict, endpass
}

// condition tests one condition.
func (r *Run) condition(c *clause) Verdict {
	argument := mail.Value{S: c.argument}
	if c.row.Expand && c.shape == needsExpansion {
		v, err := r.Scope.Engine.Expand(r.Scope, c.argument)
		if err != nil {
			if errors.Is(err, expand.ErrForced) {
				return OK // the condition is ignored, negated or not
			}
			return r.Mistake("failed to expand ACL string \"" + c.argument + "\": " + err.Error())
		}
		argument = v
	}
	if r.tracing() {
		r.traceCheck(c, argument.S)
	}
	if !c.row.Phases.Has(r.Phase) && r.Phase != Expansion {
		do := "test"
		if c.row.Modifier {
			do = "use"
		}
		return r.Mistake("cannot " + do + " " + c.row.Name + " condition in " + r.Phase.String() + " ACL")
	}
	r.Variable, r.setting = c.variable, c.setting
	verdict := c.row.Check(r, argument)
	if c.negated {
		switch verdict {
		case OK:
			verdict = Fail
		case Fail, FailDrop:
			verdict = OK
		}
	}
	return verdict
}

func (r *Run) traceCheck(c *clause, expanded string) {
	name := c.row.Name
	if c.negated {
		name = "!" + name
	}
	if c.variable != "" {
		name += " " + c.variable
	}
	r.debug("check %s = %s", name, c.argument)
	if expanded != c.argument {
		r.debug("%*s= %s", len(name)+7, "", expanded)
	}
}
