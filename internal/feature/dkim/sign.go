package dkim

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"syscall"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/dkim"
	"exigo/internal/transport"
)

// signer signs messages; it remembers keys.
type signer struct{ keys transport.Keyring }

// wanted tells whether the transport's options ask for signatures at all.
func wanted(r *transport.Run) bool {
	o := option.Of[settings](r.Transport.Instance.Options)
	return o.domain != "" && o.selector != "" && o.privateKey != ""
}

// job is the signing of one message.
type job struct {
	signer   *signer
	ctx      context.Context
	run      *transport.Run
	message  *transport.Message
	options  *settings
	signings []*dkim.Signing
}

// failure is why a message cannot be signed; text is for the log.
type failure struct {
	text  string
	panic bool
}

// sign signs the message for all domains and selectors. When one signature fails there is none, and with dkim_strict the message has to wait.
func (g *signer) sign(ctx context.Context, r *transport.Run, m *transport.Message) (string, error) {
	j := &job{signer: g, ctx: ctx, run: r, message: m, options: option.Of[settings](r.Transport.Instance.Options)}
	defer j.setVariables(expand.Value{}, expand.Value{})()
	lines, problem := j.sign()
	if by := j.by(); by != "" {
		mail.State[signed](&r.Addresses[0].Bag).by = by // the log shows it once for a message
	}
	if problem == nil {
		return lines, nil
	}
	if problem.text != "" && problem.panic {
		r.Services.Panic(problem.text)
	} else if problem.text != "" {
		r.Services.Log(problem.text)
	}
	if !j.strict() {
		return "", nil
	}
	r.Services.Log("DKIM: message could not be signed, and dkim_strict is set. Deferring message delivery.")
	return "", transport.Defer(int(syscall.EACCES), "%s", problem.text)
}

// by names the signatures: "domain:selector" for each.
func (j *job) by() string {
	var names []string
	for _, s := range j.signings {
		names = append(names, s.Domain+":"+s.Selector)
	}
	return strings.Join(names, ":")
}

// setVariables sets $dkim_domain and $dkim_selector.
func (j *job) setVariables(domain, selector expand.Value) (restore func()) {
	a := j.run.Scope.SetExtra("dkim_domain", domain)
	b := j.run.Scope.SetExtra("dkim_selector", selector)
	return func() { b(); a() }
}

// sign prepares all signatures, hashes the body once for all of them, and signs.
func (j *job) sign() (lines string, problem *failure) {
	domains, problem := j.list(j.options.domain, "dkim_domain")
	if problem != nil {
		return "", problem
	}
	for _, domain := range domains {
		domain.S = strings.ToLower(domain.S)
		j.setVariables(domain, expand.Value{})
		selectors, problem := j.list(j.options.selector, "dkim_selector")
		if problem != nil {
			return "", problem
		}
		for _, selector := range selectors {
			j.setVariables(domain, selector)
			s, problem := j.prepare(domain.S, selector.S)
			if problem != nil {
				return "", problem
			}
			if s != nil {
				j.signings = append(j.signings, s)
			}
		}
	}
	if len(j.signings) == 0 {
		return "", nil
	}
	return j.signAll()
}

// list expands a list option. A forced failure is an empty list. Items are as tainted as the list.
func (j *job) list(text option.Expanded, name string) (list []expand.Value, problem *failure) {
	v, err := j.run.Scope.Engine.Expand(j.run.Scope, string(text))
	if errors.Is(err, expand.ErrForced) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(name, err)
	}
	_, items := expand.SplitList(v.S)
	for _, item := range items {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, expand.Value{S: item, Tainted: v.Tainted})
		}
	}
	return list, nil
}

func failed(name string, err error) *failure {
	return &failure{text: "failed to expand " + name + ": " + err.Error(), panic: true}
}

// expand expands an option of the signature at hand.
func (j *job) expand(text option.Expanded, name string) (expand.Value, *failure) {
	if text == "" {
		return expand.Value{}, nil
	}
	v, err := j.run.Scope.Engine.Expand(j.run.Scope, string(text))
	if err != nil {
		return v, failed(name, err)
	}
	return v, nil
}

// prepare works out one signature; nil where there is to be none.
func (j *job) prepare(domain, selector string) (*dkim.Signing, *failure) {
	s := &dkim.Signing{Domain: domain, Selector: selector, Header: dkim.Relaxed, Body: dkim.Relaxed}
	canon, problem := j.expand(j.options.canon, "dkim_canon")
	if problem != nil {
		return nil, problem
	}
	switch canon.S {
	case "relaxed", "":
	case "simple":
		s.Header, s.Body = dkim.Simple, dkim.Simple
	default:
		j.run.Services.Log("DKIM: unknown canonicalization method '" + canon.S + "', defaulting to 'relaxed'.")
	}
	names, problem := j.expand(j.options.signHeaders, "dkim_sign_header")
	if problem != nil {
		return nil, problem
	}
	if s.Names = dkim.DefaultNames(); strings.TrimSpace(names.S) != "" {
		_, s.Names = expand.SplitList(names.S)
	}
	key, problem := j.expand(j.options.privateKey, "dkim_private_key")
	if problem != nil {
		return nil, problem
	}
	if key.S == "" || key.S == "0" || key.S == "false" {
		return nil, nil
	}
	hash, problem := j.expand(j.options.hash, "dkim_hash")
	if problem != nil {
		return nil, problem
	}
	if s.Hash = hash.S; s.Hash != "sha256" && s.Hash != "sha512" && s.Hash != "sha1" {
		return nil, &failure{text: "DKIM: unrecognised hashname '" + hash.S + "'", panic: true}
	}
	identity, problem := j.expand(j.options.identity, "dkim_identity")
	if problem != nil {
		return nil, problem
	}
	s.Identity = identity.S
	if problem := j.times(s); problem != nil {
		return nil, problem
	}
	for _, text := range []string{s.Domain, s.Selector, s.Identity, strings.Join(s.Names, "")} {
		if strings.ContainsAny(text, ";\r\n\x00") {
			return nil, &failure{text: "DKIM: signing failed: malformed domain, selector, identity or header name '" + text + "'", panic: true}
		}
	}
	return s, j.key(s, key)
}

// times obeys dkim_timestamps.
func (j *job) times(s *dkim.Signing) *failure {
	v, problem := j.expand(j.options.timestamps, "dkim_timestamps")
	if problem != nil || v.S == "" {
		return problem
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v.S), 10, 32)
	if err != nil || n < 0 {
		return &failure{text: "DKIM: dkim_timestamps is no number of seconds: '" + v.S + "'", panic: true}
	}
	s.Created = j.run.Now().Unix()
	s.Expires = s.Created + n
	return nil
}

// key gets the private key.
func (j *job) key(s *dkim.Signing, v expand.Value) *failure {
	if strings.HasPrefix(v.S, "/") {
		v.Tainted = j.run.Scope.Untrusted(v, "Tainted filename '%s'", v.S)
	}
	key, err := j.signer.keys.Get(v)
	if err != nil && v.Tainted && strings.HasPrefix(v.S, "/") {
		j.run.Services.Panic(err.Error())
		return &failure{text: "unable to open file for reading: " + v.S, panic: true}
	}
	switch {
	case err == nil:
		s.Key = key
		return nil
	case errors.Is(err, dkim.ErrPrivateKey):
		j.run.Services.Panic("signing_init: privkey PEM-block import: " + err.Error())
		return &failure{text: "DKIM: signing failed: PRIVKEY", panic: true}
	}
	return &failure{text: err.Error(), panic: true}
}

// strict tells whether a message that cannot be signed has to wait.
func (j *job) strict() bool {
	v, err := j.run.Scope.Engine.Expand(j.run.Scope, string(j.options.strict))
	return err == nil && (v.S == "1" || strings.EqualFold(v.S, "true"))
}

// errLongLine stops the reading of a body.
var errLongLine = errors.New("LONG_LINE")

// signAll hashes the body and makes the fields.
func (j *job) signAll() (string, *failure) {
	type form struct {
		body dkim.Canonicalization
		hash string
	}
	hashes := make(map[form]*dkim.BodyHash, 1)
	var bodies [2]*dkim.Body
	w := &writer{}
	for _, s := range j.signings {
		f := form{s.Body, s.Hash}
		if hashes[f] != nil {
			continue
		}
		if bodies[s.Body] == nil {
			bodies[s.Body] = dkim.NewBody(s.Body, true)
			w.bodies = append(w.bodies, bodies[s.Body])
		}
		hashes[f] = bodies[s.Body].Hash(s.Algorithm().CryptoHash().New(), -1)
	}
	if err := j.message.WriteBody(j.ctx, w); err != nil {
		return "", &failure{text: "DKIM: signing failed: " + err.Error(), panic: true}
	}
	for _, b := range w.bodies {
		b.Close()
	}
	section := dkim.NewSection(fields(j.message.Header))
	var out strings.Builder
	for _, s := range j.signings {
		line, err := s.Sign(j.run.Services.World.Random, section, hashes[form{s.Body, s.Hash}].Sum())
		if err != nil {
			return "", &failure{text: "DKIM: signing failed: " + err.Error(), panic: true}
		}
		out.WriteString(line)
	}
	return out.String(), nil
}

// writer gives the body to the canonical forms that are needed, and looks at the length of lines.
type writer struct {
	bodies []*dkim.Body
	line   int
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	for _, b := range w.bodies {
		b.Write(p)
	}
	for _, c := range p {
		if w.line++; c == '\n' {
			w.line = 0
		} else if w.line > maxLine {
			return 0, errLongLine
		}
	}
	return len(p), nil
}

// fields splits a header block.
func fields(block []byte) []string {
	text := string(block)
	out := make([]string, 0, 24)
	for start, at := 0, 0; at < len(text); {
		n := strings.IndexByte(text[at:], '\n')
		if n < 0 {
			return append(out, text[start:])
		}
		at += n + 1
		if at == len(text) || text[at] != ' ' && text[at] != '\t' {
			out = append(out, text[start:at])
			start = at
		}
	}
	return out
}
