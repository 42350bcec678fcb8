package brightmail

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/feature/brightmail/bmiclient"
	"exigo/internal/mail"
)

// library is Brightmail's client library, in a process of its own.
type library struct {
	*settings
	pool        *bmiclient.Pool
	environment []string
}

func (b *room) library(s *expand.Scope, o *settings) *library {
	return &library{settings: o, pool: b.pool, environment: config.Of(s).Environment()}
}

func (l *library) setup() bmiclient.Setup {
	return bmiclient.Setup{Libraries: l.libraries, Version: l.version, Environment: l.environment}
}

// scan implements engine.
func (l *library) scan(ctx context.Context, _ *expand.Scope, m *mail.Message, body *io.SectionReader) (verdicts, warnings []string, err error) {
	q := &bmiclient.Message{ConfigFile: l.configFile, Client: "127.0.0.1", Sender: m.Sender, Recipients: make([]bmiclient.Recipient, len(m.Recipients))}
	if m.Session.Host.IsValid() {
		q.Client = m.Session.Host.Unmap().String()
	}
	for i := range m.Recipients {
		r := &m.Recipients[i]
		q.Recipients[i] = bmiclient.Recipient{Address: r.Address, OptIn: optInOf(r)}
	}
	for _, h := range m.Headers {
		if h.Type != '*' {
			q.Header = append(q.Header, h.Text)
		}
	}
	verdicts, warnings, err = l.pool.Scan(ctx, l.command, l.setup(), q, body)
	return verdicts, warnings, named(err)
}

// read implements engine.
func (l *library) read(ctx context.Context, text string) (*verdict, error) {
	r, err := l.pool.Read(ctx, l.command, l.setup(), text)
	if err != nil {
		return nil, named(err)
	}
	v := &verdict{recipients: r.Recipients, text: text, tracker: clean(r.Tracker)}
	switch {
	case r.Default:
	case r.Nowhere:
		v.outcome = dontDeliver
	default:
		v.outcome, v.location = deliverAlternate, headerText(r.Location)
	}
	v.fired = func(ctx context.Context, rule string) (bool, error) {
		n, err := strconv.Atoi(rule)
		if err != nil {
			return false, errors.New("bmi error: bmi_rule must be a list of numbers: " + rule)
		}
		fired, err := l.pool.Fired(ctx, l.command, l.setup(), text, n)
		return fired, named(err)
	}
	return v, nil
}

// headerText makes a text fit for header lines: no CR or NUL, no empty line.
func headerText(text string) string {
	text = strings.NewReplacer("\r", "", "\x00", "").Replace(text)
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "\n")
}

// named makes a line for the log of an error that is none of the library's own.
func named(err error) error {
	var failure *bmiclient.Failure
	if err == nil || errors.As(err, &failure) && failure.Location+failure.Type != 0 {
		return err
	}
	if failure != nil {
		return errors.New("bmi error: " + failure.Text)
	}
	return errors.New("bmi error: " + err.Error())
}
