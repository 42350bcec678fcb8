package autoreply

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/address"
	"exigo/internal/transport"
)

// reply is the message to send, expanded.
type reply struct {
	from, replyTo, to, cc, bcc, subject, headers, text string
	file, log, once                                    mail.Value
	onceRepeat                                         string
	returnMessage, expandFile                          bool
}

// prepare expands the options, or takes what a filter asked for.
func prepare(r *transport.Run) (any, error) {
	s := option.Of[settings](r.Transport.Instance.Options)
	p, err := compose(r, s)
	if err != nil {
		return nil, err
	}
	j := &job{FileOptional: s.fileOptional, Mode: uint32(s.mode), OnceSize: int64(s.onceFileSize)}
	if err := neverMail(r, s, p); err != nil {
		return nil, err
	}
	if p.to == "" && p.cc == "" && p.bcc == "" && s.neverMail != "" {
		j.Nothing = true
		return j, nil
	}
	for _, one := range []struct {
		into *string
		v    mail.Value
		what string
	}{{&j.File, p.file, "file"}, {&j.Log, p.log, "log file"}, {&j.Once, p.once, "once file"}} {
		if r.Scope.Untrusted(one.v, "Tainted '%s' (%s for %s transport) not permitted", one.v.S, one.what, r.Transport.Name) {
			return nil, transport.Defer(int(syscall.EACCES), "Tainted '%s' (%s for %s transport) not permitted", one.v.S, one.what, r.Transport.Name)
		}
		*one.into = one.v.S
	}
	if p.onceRepeat != "" && p.onceRepeat != "0" {
		d, ok := option.ParseTime(p.onceRepeat)
		if !ok {
			return nil, transport.Fail("Invalid time value \"%s\" for \"once_repeat\" in %s transport", p.onceRepeat, r.Transport.Name)
		}
		j.OnceRepeat = d
	}
	j.To, j.LogFrom, j.LogCc, j.LogBcc, j.LogSubject, j.LogHeaders = p.to, p.from, p.cc, p.bcc, p.subject, p.headers
	*mail.State[reply](&r.Addresses[0].Bag) = *p
	return j, nil
}

// compose makes the reply of the filter's wishes or of the options.
func compose(r *transport.Run, s *settings) (*reply, error) {
	if f := r.Addresses[0].Reply; f != nil {
		p := &reply{from: f.From, replyTo: f.ReplyTo, to: f.To, cc: f.Cc, bcc: f.Bcc, subject: f.Subject, headers: f.Headers, text: f.Text,
			file: mail.Clean(f.File), log: mail.Clean(f.LogFile), once: mail.Clean(f.OnceFile), returnMessage: f.ReturnMessage || s.returnMessage, expandFile: f.ExpandFile}
		if f.OnceFile == "" {
			p.once = mail.Clean(f.Once)
		}
		if f.OnceRepeat > 0 {
			p.onceRepeat = option.FormatTime(f.OnceRepeat)
		}
		return p, nil
	}
	p := &reply{returnMessage: s.returnMessage, expandFile: s.fileExpand}
	for _, one := range []struct {
		into   *string
		text   option.Expanded
		header bool
	}{
		{&p.from, s.from, true}, {&p.replyTo, s.replyTo, true}, {&p.to, s.to, true}, {&p.cc, s.cc, true}, {&p.bcc, s.bcc, true}, {&p.subject, s.subject, true},
		{&p.headers, s.headers, true}, {&p.text, s.text, false}, {&p.onceRepeat, s.repeatText(), false},
	} {
		v, err := checked(r, string(one.text), one.header)
		if err != nil {
			return nil, err
		}
		*one.into = v.S
	}
	for _, one := range []struct {
		into *mail.Value
		text option.Expanded
	}{{&p.file, s.file}, {&p.log, s.log}, {&p.once, s.once}} {
		v, err := checked(r, string(one.text), true)
		if err != nil {
			return nil, err
		}
		*one.into = v
	}
	return p, nil
}

// checked expands an option; in header text only newlines that white space follows are let through.
func checked(r *transport.Run, text string, header bool) (mail.Value, error) {
	if text == "" {
		return mail.Value{}, nil
	}
	v, err := r.Scope.Engine.Expand(r.Scope, text)
	if err != nil {
		why := err.Error()
		if errors.Is(err, expand.ErrForced) {
			why = "forced failure"
		}
		message := fmt.Sprintf("Expansion of \"%s\" failed in %s transport: %s", text, r.Transport.Name, why)
		if expand.IsTemporary(err) {
			return v, transport.Defer(mail.ErrnoExpandFail, "%s", message)
		}
		return v, transport.Fail("%s", message)
	}
	if !header {
		return v, nil
	}
	for i := 0; i < len(v.S); i++ {
		c := v.S[i]
		if c >= ' ' && c != 0x7f || c == '\t' || c == '\n' && i+1 < len(v.S) && (v.S[i+1] == ' ' || v.S[i+1] == '\t') {
			continue
		}
		if c == '\n' && i+1 < len(v.S) && text == string(option.Of[settings](r.Transport.Instance.Options).headers) {
			continue // several header lines
		}
		return v, transport.Fail("Expansion of \"%s\" in %s transport contains non-printing character %d", transport.Printable(text), r.Transport.Name, c)
	}
	return v, nil
}

// neverMail removes recipients that are on the list.
func neverMail(r *transport.Run, s *settings, p *reply) error {
	if s.neverMail == "" {
		return nil
	}
	for _, field := range []*string{&p.to, &p.cc, &p.bcc} {
		if *field == "" {
			continue
		}
		var kept []string
		removed := false
		for _, one := range splitAddresses(*field) {
			bare, err := address.Extract(one, address.Options{})
			if err != nil {
				kept = append(kept, one)
				continue
			}
			m, err := list.Address(r.Scope, string(s.neverMail), bare.Address)
			if err != nil {
				return transport.Defer(mail.ErrnoListDefer, "failed to check never_mail of %s transport: %v", r.Transport.Name, err)
			}
			if m.Matched {
				removed = true
				continue
			}
			kept = append(kept, one)
		}
		if removed {
			*field = strings.Join(kept, ", ")
		}
	}
	return nil
}

// The questions that the helper asks.
const askSubmit = "submit"

// answer sends the message; the argument "file" is what the helper read.
func answer(r *transport.Run, question string, arguments map[string]string) (string, error) {
	if question != askSubmit {
		return "", fmt.Errorf("unknown question %q", question)
	}
	if r.Services.Submit == nil {
		return "", errors.New("no messages can be submitted")
	}
	p := mail.State[reply](&r.Addresses[0].Bag)
	body := p.text
	if body != "" && !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	if file, ok := arguments["file"]; ok {
		text, err := fileText(r, p, file)
		if err != nil {
			return "", err
		}
		body += text
	}
	sub := transport.Submission{Header: header(r.Message, p), Parent: r.Message, As: r.Identity}
	if p.returnMessage {
		original, rubric, err := original(r)
		if err != nil {
			return "", err
		}
		body += rubric
		sub.Original = original
	}
	sub.Text = body
	_, err := r.Services.Submit(r.Scope.Ctx, sub)
	if errors.Is(err, transport.ErrNoRecipients) {
		return "", nil
	}
	return "", err
}

// fileText expands the file's lines, if so asked.
func fileText(r *transport.Run, p *reply, file string) (string, error) {
	if !p.expandFile {
		return file, nil
	}
	var b strings.Builder
	for _, line := range strings.SplitAfter(file, "\n") {
		v, err := r.Scope.Engine.Expand(r.Scope, line)
		if err != nil {
			why := err.Error()
			if errors.Is(err, expand.ErrForced) {
				why = "forced failure"
			}
			if r.Services.Log != nil {
				r.Services.Log(fmt.Sprintf("Failed to expand line \"%s\" of file: %s", transport.Printable(strings.TrimSuffix(line, "\n")), why))
			}
			b.WriteString(line)
			continue
		}
		b.WriteString(v.S)
	}
	return b.String(), nil
}

// original is the copy of the message that is answered, with the text that announces it.
func original(r *transport.Run) (*transport.Message, string, error) {
	block, filter, err := r.Compose()
	if err != nil {
		return nil, "", err
	}
	g := r.Transport.Generic
	m := &transport.Message{Header: block, Body: r.Body, HeadersOnly: g.HeadersOnly, BodyOnly: g.BodyOnly, Filter: filter}
	rubric := "------ This is a copy of the message, including all the headers.\n"
	switch {
	case g.HeadersOnly:
		rubric = "------ This is a copy of the message's header lines.\n"
	case g.BodyOnly:
		rubric = "------ This is a copy of the body of the message, without the headers.\n"
	}
	limit := int64(option.Of[config.Main](r.Scope.Config.MainOptions()).BounceReturnSizeLimit)
	if limit > 0 && !g.HeadersOnly && m.Body.Size > limit {
		rubric += fmt.Sprintf("------ The body of the message is %d characters long; only the first\n------ %d or so are included here.\n", m.Body.Size, limit)
		m.Body.Size = limit
	}
	return m, "\n" + rubric + "\n", nil
}

// repeatText is once_repeat as text to expand; "" where it is not set.
func (s *settings) repeatText() option.Expanded {
	if s.onceRepeat.Text == "" && s.onceRepeat.Value > 0 {
		return option.Expanded(option.FormatTime(s.onceRepeat.Value))
	}
	return s.onceRepeat.Text
}
