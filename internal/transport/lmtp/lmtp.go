// Package lmtp is the transport that speaks LMTP (RFC 2033) to a command or over a Unix socket (spec chapter 28). LMTP over
// TCP is the smtp transport's business.
//
// Trust: the other side is a program of the administrator's choice; its replies are bounded and made printable.
package lmtp

import (
	"errors"
	"fmt"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/transport"
)

type settings struct {
	batchID     option.Expanded
	batchMax    int
	command     option.Expanded
	ignoreQuota bool
	socket      option.Expanded
	timeout     time.Duration
}

var options = option.Table[settings]{Scope: "transport lmtp", Rows: []option.Row[settings]{
	{Name: "batch_id", Field: func(s *settings) any { return &s.batchID }, Doc: "Only addresses with the same expansion share a run."},
	{Name: "batch_max", Default: "1", Field: func(s *settings) any { return &s.batchMax }, Doc: "Largest number of addresses in one run."},
	{Name: "command", Field: func(s *settings) any { return &s.command }, Doc: "Command that speaks LMTP on its standard input and output."},
	{Name: "ignore_quota", Field: func(s *settings) any { return &s.ignoreQuota }, Doc: "IGNOREQUOTA is added to RCPT if the server offers it."},
	{Name: "socket", Field: func(s *settings) any { return &s.socket }, Doc: "Unix socket of an LMTP server."},
	{Name: "timeout", Default: "5m", Field: func(s *settings) any { return &s.timeout }, Doc: "Longest wait for a reply."},
}}

// Driver is the transport.
func Driver() *transport.Driver {
	return &transport.Driver{
		Name: "lmtp", Doc: "Speaks LMTP to a command or over a Unix socket.", Options: options, Check: check,
		Local: &transport.Local{Prepare: prepare, Execute: execute},
		Batch: func(inst *config.Instance) (int, option.Expanded) {
			s := option.Of[settings](inst.Options)
			return s.batchMax, s.batchID
		},
	}
}

func check(inst *config.Instance) error {
	s := option.Of[settings](inst.Options)
	if (s.command == "") == (s.socket == "") {
		return transport.Mistake("one (and only one) of command or socket must be set for the %s transport", inst.Name)
	}
	return nil
}

// job is what the helper must know.
type job struct {
	Argv        []string
	Socket      string
	IgnoreQuota bool
	Timeout     time.Duration
	Hostname    string
	// Keys are the retry keys of the recipients, Names their addresses.
	Keys []string
}

func prepare(r *transport.Run) (any, error) {
	s := option.Of[settings](r.Transport.Instance.Options)
	j := &job{IgnoreQuota: s.ignoreQuota, Timeout: s.timeout, Hostname: r.Scope.Settings().PrimaryHostname}
	if s.socket != "" {
		v, err := r.Scope.Engine.Expand(r.Scope, string(s.socket))
		if err != nil {
			return nil, mistake(err, fmt.Sprintf("Expansion of \"%s\" (socket setting for %s transport) failed: %s", s.socket, r.Transport.Name, why(err)))
		}
		j.Socket = v.S
		return j, nil
	}
	for _, part := range transport.SplitCommand(string(s.command)) {
		if part == "$pipe_addresses" {
			for _, a := range r.Addresses {
				j.Argv = append(j.Argv, a.Address)
			}
			continue
		}
		v, err := r.Scope.Engine.Expand(r.Scope, part)
		if err != nil {
			return nil, mistake(err, fmt.Sprintf("Expansion of \"%s\" from command \"%s\" in %s transport failed: %s", part, s.command, r.Transport.Name, why(err)))
		}
		if r.Scope.Untrusted(v, "Tainted arg %d for %s transport command: '%s'", len(j.Argv), r.Transport.Name, v.S) {
			return nil, transport.Fail("Tainted arg %d for %s transport command: '%s'", len(j.Argv), r.Transport.Name, v.S)
		}
		j.Argv = append(j.Argv, v.S)
	}
	if len(j.Argv) == 0 {
		return nil, transport.Defer(mail.ErrnoUnknown, "no command specified for %s transport", r.Transport.Name)
	}
	return j, nil
}

func mistake(err error, text string) error {
	if expand.IsTemporary(err) {
		return transport.Defer(mail.ErrnoUnknown, "%s", text)
	}
	return transport.Panic(mail.ErrnoUnknown, "%s", text)
}

func why(err error) string {
	if errors.Is(err, expand.ErrForced) {
		return "forced failure"
	}
	return err.Error()
}
