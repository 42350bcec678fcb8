package acl

import (
	"strconv"
	"strings"

	"exigo/internal/mail"
)

// Control is one setting of the control modifier (spec 44.22).
type Control struct {
	Name string
	// Options says that "/options" may follow the name.
	Options bool
	// Alias is the name in messages when it is another than Name ("queue" for queue_only).
	Alias  string
	Phases PhaseSet
	// Apply does it. option is what follows the name, with its slash, or "". It returns OK, or Error after
	// r.Mistake.
	Apply func(r *Run, option string) Verdict
	Doc   string
}

// connectionPhases are those in which controls of the session may stand.
var connectionPhases = except(nonSMTPPhases)

// receivePhases are those in which controls of a message's fate may stand.
var receivePhases = Phases(Mail, Rcpt, Predata, MIME, Data, NotSMTPStart, NotSMTP, NotSMTPMIME)

// flag makes a control that sets one field of the message's controls.
func flag(name string, phases PhaseSet, field func(c *mail.Controls) *bool, value bool, doc string) Control {
	return Control{Name: name, Phases: phases, Doc: doc, Apply: func(r *Run, _ string) Verdict {
		*field(r.controls()) = value
		return OK
	}}
}

// Controls returns the rows of the controls that this package knows.
func Controls() []Control {
	return append(sessionControls(), messageControls()...)
}

func sessionControls() []Control {
	return []Control{
		flag("allow_auth_unadvertised", Phases(Connect, HELO), func(c *mail.Controls) *bool { return &c.AllowAuthUnadvertised }, true,
			"Lets the client use AUTH that was not advertised."),
		{Name: "debug", Options: true, Phases: AllPhases, Apply: controlDebug, Doc: "Writes a debugging log."},
		{Name: "dscp", Options: true, Phases: except(nonSMTPPhases, Phases(NotQuit)), Apply: controlDSCP, Doc: "Marks packets of the connection."},
		flag("enforce_sync", connectionPhases, func(c *mail.Controls) *bool { return &c.NoEnforceSync }, false, "Checks SMTP synchronization."),
		flag("no_enforce_sync", connectionPhases, func(c *mail.Controls) *bool { return &c.NoEnforceSync }, true, "Does not check SMTP synchronization."),
		flag("no_callout_flush", connectionPhases, func(c *mail.Controls) *bool { return &c.NoCalloutFlush }, true, "Does not flush output before callouts."),
		flag("no_delay_flush", connectionPhases, func(c *mail.Controls) *bool { return &c.NoDelayFlush }, true, "Does not flush output before delays."),
		flag("no_multiline_responses", connectionPhases, func(c *mail.Controls) *bool { return &c.NoMultilineReply }, true, "Sends replies of one line."),
		flag("no_pipelining", connectionPhases, func(c *mail.Controls) *bool { return &c.NoPipelining }, true, "Does not offer PIPELINING."),
	}
}

func messageControls() []Control {
	queue := Control{Name: "queue", Options: true, Phases: receivePhases, Apply: controlQueue, Doc: "Leaves the message on the queue."}
	queueOnly := queue
	queueOnly.Name, queueOnly.Alias = "queue_only", "queue"
	return []Control{
		{Name: "caseful_local_part", Phases: Phases(Rcpt), Apply: controlCase(true), Doc: "Gives $local_part its original case."},
		{Name: "caselower_local_part", Phases: Phases(Rcpt), Apply: controlCase(false), Doc: "Gives $local_part lower case."},
		{Name: "cutthrough_delivery", Options: true, Phases: AllPhases, Apply: controlCutthrough, Doc: "Delivers while receiving."},
		flag("dkim_disable_verify", except(Phases(PRDR, Data, NotSMTP)), func(c *mail.Controls) *bool { return &c.DKIMDisable }, true, "Turns DKIM verification off."),
		flag("dmarc_disable_verify", AllPhases, func(c *mail.Controls) *bool { return &c.DMARCDisable }, true, "Turns DMARC verification off."),
		{Name: "fakedefer", Options: true, Phases: fakePhases, Apply: controlFake(false), Doc: "Accepts the message but answers 450."},
		{Name: "fakereject", Options: true, Phases: fakePhases, Apply: controlFake(true), Doc: "Accepts the message but answers 550."},
		{Name: "freeze", Options: true, Phases: receivePhases, Apply: controlFreeze, Doc: "Freezes the message."},
		flag("no_mbox_unspool", receivePhases&^nonSMTPPhases, func(c *mail.Controls) *bool { return &c.NoMboxUnspool }, true, "Keeps the copy for scanners."),
		queue, queueOnly,
		{Name: "submission", Options: true, Phases: Phases(Mail, Rcpt, Predata), Apply: controlSubmission, Doc: "Treats the message as a submission."},
		flag("suppress_local_fixups", Phases(Mail, Rcpt, Predata, NotSMTPStart), func(c *mail.Controls) *bool { return &c.SuppressLocalFixups }, true,
			"Leaves headers of local messages alone."),
		{Name: "utf8_downconvert", Options: true, Phases: Phases(Rcpt, VRFY), Apply: controlDownconvert, Doc: "Converts envelope addresses to ASCII."},
	}
}

var fakePhases = Phases(Mail, Rcpt, Predata, MIME, PRDR, Data)

// checkControl is the control modifier: the name, then perhaps options.
func checkControl(r *Run, argument mail.Value) Verdict {
	name, option := argument.S, ""
	if i := strings.IndexByte(name, '/'); i >= 0 {
		name, option = name[:i], name[i:]
	}
	for _, c := range r.program.words.controls {
		if c.Name != name || option != "" && !c.Options {
			continue
		}
		if !c.Phases.Has(r.Phase) && r.Phase != Expansion {
			shown := c.Name
			if c.Alias != "" {
				shown = c.Alias
			}
			return r.Mistake("cannot use \"control=" + shown + "\" in " + r.Phase.String() + " ACL")
		}
		return c.Apply(r, option)
	}
	return r.badControl(argument.S)
}

func (r *Run) badControl(argument string) Verdict {
	return r.Mistake("syntax error in \"control=" + argument + "\"")
}

// controls are the message's. In phases before there is a message the scope has one all the same, in which controls of the
// session are kept; without any they go nowhere.
func (r *Run) controls() *mail.Controls {
	if r.Scope.Message == nil {
		return &mail.Controls{}
	}
	return &r.Scope.Message.Controls
}

// options yields the parts between slashes.
func options(option string) []string {
	if option == "" {
		return nil
	}
	return strings.Split(option[1:], "/")
}

func controlCase(caseful bool) func(*Run, string) Verdict {
	return func(r *Run, _ string) Verdict {
		r.controls().CaseFulLocalPart = caseful
		if a := r.Scope.Address; a != nil {
			a.LocalPart = a.CasefulLocalPart
			if !caseful {
				a.LocalPart = strings.ToLower(a.LocalPart)
			}
		}
		return OK
	}
}

// controlCutthrough is ignored for all recipients but the first (spec 44.23).
func controlCutthrough(r *Run, option string) Verdict {
	c := r.controls()
	if s := r.Scope.Session; c.Cutthrough || s != nil && s.RcptCount > 1 {
		return OK
	}
	c.Cutthrough = true
	for _, o := range options(option) {
		if value, ok := strings.CutPrefix(o, "defer="); ok && (value == "spool" || value == "pass") {
			c.CutthroughDefer = value
		}
	}
	return OK
}

// controlDebug is accepted; what it asks for goes to the service if there is one.
func controlDebug(r *Run, option string) Verdict {
	if r.Services.Debug != nil {
		r.Services.Debug(r.Scope, options(option))
	}
	return OK
}

// dscpNames are the values of RFC 2474, 2597, 3246 and 5865, and the old names of RFC 1349 as they fall into the field.
var dscpNames = map[string]int{
	"af11": 0x0a, "af12": 0x0c, "af13": 0x0e, "af21": 0x12, "af22": 0x14, "af23": 0x16, "af31": 0x1a, "af32": 0x1c, "af33": 0x1e,
	"af41": 0x22, "af42": 0x24, "af43": 0x26, "ef": 0x2e, "lowcost": 0x02 >> 2, "lowdelay": 0x10 >> 2, "mincost": 0x02 >> 2,
	"reliability": 0x04 >> 2, "throughput": 0x08 >> 2,
	"cs0": 0, "cs1": 8, "cs2": 16, "cs3": 24, "cs4": 32, "cs5": 40, "cs6": 48, "cs7": 56,
}

// controlDSCP sets the value by name or number; one that is not known changes nothing.
func controlDSCP(r *Run, option string) Verdict {
	if len(option) < 2 {
		return r.badControl("dscp" + option)
	}
	text := strings.ToLower(option[1:])
	value, known := dscpNames[text]
	if !known {
		n, err := strconv.ParseInt(text, 0, 32)
		if err != nil || n < 0 || n > 0x3f {
			r.debug("unrecognised DSCP value: %s", text)
			return OK
		}
		value = int(n)
	}
	r.controls().DSCP = text
	if r.Services.SetDSCP != nil {
		if err := r.Services.SetDSCP(r.Scope, value); err != nil {
			r.debug("failed to set DSCP: %v", err)
		}
	}
	return OK
}

// fakeText is what is said when the control has no message of its own.
const (
	fakeText = "Your message has been rejected but is being kept for evaluation.\n" +
		"If it was a legitimate message, it may still be delivered to the target\nrecipient(s)."
)

// controlFake makes the answer to the message's data a lie.
func controlFake(reject bool) func(*Run, string) Verdict {
	return func(r *Run, option string) Verdict {
		c := r.controls()
		text := strings.TrimPrefix(option, "/")
		if text == "" {
			text = fakeText
		}
		if reject {
			c.Fakereject, c.Fakedefer = text, ""
		} else {
			c.Fakedefer, c.Fakereject = text, ""
		}
		return OK
	}
}

func controlFreeze(r *Run, option string) Verdict {
	c := r.controls()
	switch option {
	case "":
		c.NoFreezeTell = false
	case "/no_tell":
		if !c.Freeze {
			c.NoFreezeTell = true
		}
	default:
		return r.badControl("freeze" + option)
	}
	c.Freeze = true
	return OK
}

func controlQueue(r *Run, option string) Verdict {
	c := r.controls()
	c.QueueOnly = true
	for _, o := range options(option) {
		if o == "first_pass_route" {
			c.QueueOnly, c.QueueRouted = false, true
		}
	}
	return OK
}

// controlSubmission reads sender_retain, domain= and, last, name=, which may hold slashes.
func controlSubmission(r *Run, option string) Verdict {
	c := r.controls()
	c.Submission = true
	for rest := option; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "/sender_retain"):
			c.SenderRetain = true
			rest = rest[len("/sender_retain"):]
		case strings.HasPrefix(rest, "/domain="):
			domain := rest[len("/domain="):]
			if i := strings.IndexByte(domain, '/'); i >= 0 {
				domain, rest = domain[:i], domain[i:]
			} else {
				rest = ""
			}
			c.SubmissionDomain = domain
			if r.Scope.Message != nil {
				mail.State[submission](&r.Scope.Message.Bag).domainSet = true
			}
		case strings.HasPrefix(rest, "/name="):
			c.SubmissionName = rest[len("/name="):]
			rest = ""
		default:
			return r.badControl("submission" + option)
		}
	}
	return OK
}

// submission remembers that control = submission gave a domain, which may be empty.
type submission struct{ domainSet bool }

// SubmissionDomain returns the domain that control = submission gave; set is false when it gave none.
func SubmissionDomain(m *mail.Message) (domain string, set bool) {
	state := mail.Peek[submission](&m.Bag)
	return m.Controls.SubmissionDomain, state != nil && state.domainSet
}

// KeepForSession copies to the controls of a session's next message those that last as long as the session.
func KeepForSession(next *mail.Controls, old mail.Controls) {
	next.AllowAuthUnadvertised, next.NoEnforceSync = old.AllowAuthUnadvertised, old.NoEnforceSync
	next.NoCalloutFlush, next.NoDelayFlush = old.NoCalloutFlush, old.NoDelayFlush
	next.NoMultilineReply, next.NoPipelining, next.DSCP = old.NoMultilineReply, old.NoPipelining, old.DSCP
}

func controlDownconvert(r *Run, option string) Verdict {
	c := r.controls()
	switch option {
	case "", "/", "/1":
		c.UTF8Downgrade = "1"
	case "/0":
		c.UTF8Downgrade = "0"
	case "/-1":
		c.UTF8Downgrade = "-1"
	default:
		return r.Mistake("bad option value for control=utf8_downconvert")
	}
	return OK
}
