// Package brightmail is the room of per-recipient verdicts from one scan, as Exim has them for Brightmail AntiSpam: a message for which an ACL
// said control = bmi_run is shown to an engine just before it is accepted; the verdicts travel in its header file in the spool, and routers ask
// for that of the recipient at hand. The engine is Brightmail's client library (library.go), or a service that speaks Rspamd's HTTP protocol
// (service.go).
//
// Trust: messages are outsiders'; verdicts come from the site's engine and are bounded and checked before they are kept; what they make of
// variables is tainted. An engine that cannot answer never loses mail: the message is delivered as usual, and the panic log says why.
package brightmail

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"exigo/internal/acl"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/feature/brightmail/bmiclient"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route"
	"exigo/internal/spool"
	"exigo/internal/submit"
)

// settings are the room's options in the main section, routerSettings those of all routers.
type (
	settings struct {
		configFile, service, command, version string
		libraries                             []string
		timeout                               time.Duration
	}
	routerSettings struct {
		deliverDefault, deliverAlternate, dontDeliver bool
		rules                                         []string
	}
)

// DefaultCommand is where the process that loads the client library is installed.
const DefaultCommand = "/usr/lib/exigo/exigo-bmi"

// controlPhases are those that deal with a message.
var controlPhases = acl.Phases(acl.Mail, acl.Rcpt, acl.Predata, acl.MIME, acl.DKIM, acl.PRDR, acl.Data, acl.NotSMTPStart, acl.NotSMTP, acl.NotSMTPMIME)

// Feature is the room.
func Feature() *feature.Feature {
	b := &room{pool: &bmiclient.Pool{}}
	return &feature.Feature{
		Name: "brightmail", Support: "Experimental_Brightmail", Macros: []string{"_HAVE_BRIGHTMAIL"},
		Doc:       "Per-recipient verdicts of Brightmail AntiSpam or of an HTTP service.",
		Options:   []option.Set{mainOptions(), routerOptions()},
		Variables: b.variables(),
		Conditions: []acl.Condition{{Name: "bmi_optin", Modifier: true, Phases: acl.Phases(acl.Rcpt), Expand: true, Check: optIn,
			Doc: "The scanning features that the recipient at hand wants, a colon-separated list."}},
		Controls: []acl.Control{{Name: "bmi_run", Phases: controlPhases, Apply: control, Doc: "Shows the message to the Brightmail engine before it is accepted."}},
		Routing:  []route.Extension{{Wanted: b.wanted}},
		Fields: []spool.Field{{Name: "bmi_verdicts", Doc: "verdicts of the Brightmail engine, separated by colons",
			Write: func(m *mail.Message) (string, bool) {
				st := mail.Peek[state](&m.Bag)
				if st == nil || len(st.verdicts) == 0 {
					return "", false
				}
				return strings.Join(st.verdicts, ":"), true
			},
			Read: func(m *mail.Message, value string) error {
				mail.State[state](&m.Bag).verdicts = strings.Split(value, ":")
				return nil
			}}},
		Reception: []submit.Room{{Name: "brightmail", Accepted: b.scan}},
	}
}

func mainOptions() option.Set {
	return option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
		{Name: "bmi_api_version", Default: "0", Field: func(s *settings) any { return &s.version },
			Doc: "BMI_VERSION of the client library's bmi_api.h: a number, or else a text."},
		{Name: "bmi_command", Default: DefaultCommand, Field: func(s *settings) any { return &s.command },
			Doc: "The command exigo-bmi, which loads the client library."},
		{Name: "bmi_config_file", Default: "/opt/brightmail/etc/brightmail.cfg", Field: func(s *settings) any { return &s.configFile },
			Doc: "The configuration file of Brightmail's client library."},
		{Name: "bmi_library", Default: "libbmiclient_single.so", Field: func(s *settings) any { return &s.libraries },
			Doc: "The client library, a path or a name for the dynamic linker; libraries that it needs may stand before it."},
		{Name: "bmi_service", Field: func(s *settings) any { return &s.service },
			Doc: "The URL of a service that gives the verdicts in place of the client library, as http://127.0.0.1:11333/checkv2 of Rspamd."},
		{Name: "bmi_timeout", Default: "2m", Field: func(s *settings) any { return &s.timeout }, Doc: "How long the verdicts on a message may take."},
	}}
}

func routerOptions() option.Set {
	return option.Table[routerSettings]{Scope: "routers", Rows: []option.Row[routerSettings]{
		{Name: "bmi_deliver_alternate", Field: func(s *routerSettings) any { return &s.deliverAlternate },
			Doc: "Skip the router unless the verdict for the recipient is to deliver to an alternate location."},
		{Name: "bmi_deliver_default", Field: func(s *routerSettings) any { return &s.deliverDefault },
			Doc: "Skip the router unless the verdict for the recipient is to deliver normally, or there is none."},
		{Name: "bmi_dont_deliver", Field: func(s *routerSettings) any { return &s.dontDeliver },
			Doc: "Skip the router unless the verdict for the recipient is not to deliver."},
		{Name: "bmi_rule", Field: func(s *routerSettings) any { return &s.rules },
			Doc: "Skip the router unless one of these rules fired for the recipient: numbers, or symbols of the service."},
	}}
}

// state of a message.
type state struct {
	// run is control = bmi_run.
	run bool
	// verdicts are the engine's, as they travel.
	verdicts []string

	// What follows is made of them when it is first asked for, maybe by several deliveries at once.
	mutex sync.Mutex
	read  bool
	// byRecipient has the verdicts by recipient in lower case.
	byRecipient map[string]*verdict
}

// optInState is the argument of bmi_optin, in a recipient's Bag.
type optInState struct{ words string }

func control(r *acl.Run, _ string) acl.Verdict {
	if r.Scope.Message != nil {
		mail.State[state](&r.Scope.Message.Bag).run = true
	}
	return acl.OK
}

func optIn(r *acl.Run, argument mail.Value) acl.Verdict {
	if r.Scope.Recipient != nil {
		mail.State[optInState](&r.Scope.Recipient.Bag).words = strings.TrimSpace(argument.S)
	}
	return acl.OK
}

// room is the room at work; it keeps the library's processes.
type room struct{ pool *bmiclient.Pool }

// panicLog writes to main and panic log.
func panicLog(s *expand.Scope, text string) {
	if hook := s.Engine.Hooks.Panic; hook != nil {
		hook(s.Message.ID, text)
	}
}

// maxVerdicts bounds all verdicts on a message together.
const maxVerdicts = 32 << 20

// scan shows a message that is about to be kept to the engine. It answers true if the message must not go past the routers.
func (b *room) scan(ctx context.Context, s *expand.Scope, m *mail.Message, body *io.SectionReader) bool {
	st := mail.Peek[state](&m.Bag)
	if st == nil || !st.run || len(st.verdicts) > 0 {
		return false
	}
	o := option.Of[settings](s.Config.MainOptions())
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	verdicts, warnings, err := b.engine(s, o).scan(ctx, s, m, body)
	for _, w := range warnings {
		panicLog(s, clean(w))
	}
	if err != nil {
		panicLog(s, clean(err.Error()))
		return false
	}
	total := 0
	for _, v := range verdicts {
		v = strings.NewReplacer("\r", "", "\n", "").Replace(v)
		if total += len(v); !travels(v) || total > maxVerdicts {
			panicLog(s, "bmi error: a verdict that cannot be kept")
			continue
		}
		st.verdicts = append(st.verdicts, v)
	}
	if !m.Controls.Cutthrough {
		return false
	}
	for _, rcpt := range m.Recipients {
		if v := b.of(ctx, s, st, rcpt.Address); v != nil && v.outcome != deliverDefault {
			return true
		}
	}
	return false
}

// travels tells whether a verdict can stand in the header file between colons.
func travels(v string) bool {
	for i := 0; i < len(v); i++ {
		if c := v[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return v != ""
}

// clean makes a text of the engine fit for a log line.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// optInOf is what bmi_optin said for a recipient.
func optInOf(r *mail.Recipient) string {
	if o := mail.Peek[optInState](&r.Bag); o != nil {
		return o.words
	}
	return ""
}
