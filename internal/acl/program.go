package acl

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"syscall"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
)

// maxDepth is how deep ACLs may be nested (spec 44.26).
const maxDepth = 20

// maxInline bounds the cache of ACLs that are not in the configuration: their texts are expansions, and so may
// depend on clients.
const maxInline = 1000

// Program is all ACLs of a configuration, compiled, with the services they use. It is safe for concurrent use.
type Program struct {
	words    *words
	named    map[string]*accessList
	services *Services

	mu     sync.RWMutex
	others map[string]*accessList // inline ACLs by text, files by path
}

// Compile reads all ACLs of the configuration. An error is a *SyntaxError.
func Compile(cfg *config.Config, more Words, services Services) (*Program, error) {
	p := &Program{words: newWords(more), named: make(map[string]*accessList), services: &services, others: make(map[string]*accessList)}
	for _, b := range cfg.ACLs {
		statements, err := p.words.read(b.Lines)
		if err != nil {
			return nil, err
		}
		p.named[b.Name] = &accessList{name: "ACL \"" + b.Name + "\"", statements: statements}
	}
	return p, nil
}

// Run runs the ACL that text, the value of a main option, names or is: it is expanded first (spec 44.12). The scope's session,
// message and (for RCPT, VRFY and PRDR) recipient are those at hand. A forced failure of the expansion accepts.
func (p *Program) Run(ctx context.Context, s *expand.Scope, phase Phase, text string) Outcome {
	oldCtx, oldAddress := s.Ctx, s.Address
	s.Ctx = ctx
	defer func() { s.Ctx, s.Address = oldCtx, oldAddress }()
	if s.Address == nil && s.Recipient != nil && phaseHasRecipient.Has(phase) {
		s.Address = addressOf(s.Recipient.Address)
		if p.services.PercentHack != nil {
			hacked, err := p.services.PercentHack(s, s.Address)
			switch {
			case err != nil:
				return Outcome{Verdict: Defer, LogMessage: "cannot check percent_hack_domains", LogTargets: LogMain | LogReject}
			case hacked != "":
				s.Address = addressOf(hacked)
			}
		}
	}
	if seesRecipients.Has(phase) {
		defer s.SetExtra("recipients_visible", mail.Clean("1"))()
	}
	r := &Run{Ctx: ctx, Scope: s, Phase: phase, Services: p.services, program: p, targets: LogMain | LogReject}
	verdict := r.internal(text)
	out := Outcome{Verdict: verdict, UserMessage: r.UserMessage, LogMessage: r.LogMessage, LogTargets: r.targets}
	if verdict == Fail || verdict == FailDrop || verdict == Defer {
		out.SenderFailure, out.SenderFailureTold = r.senderFailure()
	}
	if verdict == Error && phase != Quit {
		// What an ACL's own mistake says is not for clients.
		out.UserMessage = ""
	}
	return out
}

var phaseHasRecipient = Phases(Rcpt, VRFY, PRDR)

// seesRecipients are the phases in which $recipients may be seen (spec 11.9).
var seesRecipients = messagePhases &^ Phases(Mail, Rcpt)

// Named tells whether the configuration has an ACL of the name.
func (p *Program) Named(name string) bool { return p.named[name] != nil }

// addressOf makes the address that domains and local_parts test, of the recipient as the client gave it.
func addressOf(text string) *mail.Address {
	a := &mail.Address{Address: text, Unique: text, Original: -1, CasefulLocalPart: text}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		a.CasefulLocalPart, a.Domain = text[:i], strings.ToLower(text[i+1:])
	}
	a.LocalPart = strings.ToLower(a.CasefulLocalPart)
	return a
}

// internal expands the text of an ACL, finds it and runs it.
func (r *Run) internal(text string) Verdict {
	if r.depth > maxDepth {
		r.LogMessage = "ACL nested too deep: possible loop"
		return Error
	}
	if shapeOf(text) == needsExpansion {
		v, err := r.Scope.Engine.Expand(r.Scope, text)
		if err != nil {
			if errors.Is(err, expand.ErrForced) {
				return OK
			}
			r.LogMessage = "failed to expand ACL string \"" + text + "\": " + err.Error()
			return Error
		}
		text = v.S
	}
	l, err := r.program.find(trimSpaceLeft(text))
	if err != nil {
		r.LogMessage = err.Error()
		return Error
	}
	return r.run(l)
}

// find finds an ACL by file name, by name, or reads it as an inline ACL.
func (p *Program) find(text string) (*accessList, error) {
	if l := p.named[text]; l != nil {
		return l, nil
	}
	isFile := strings.HasPrefix(text, "/")
	p.mu.RLock()
	l := p.others[text]
	p.mu.RUnlock()
	if l != nil {
		return l, nil
	}
	name, source, file := "inline ACL", text, ""
	if isFile {
		b, err := p.services.ReadFile(text)
		if err != nil {
			return nil, errors.New("failed to open ACL file \"" + text + "\": " + reason(err))
		}
		name, source, file = "ACL \""+text+"\"", string(b), text
	}
	statements, err := p.words.read(logicalLines(source, file, 1))
	if err != nil {
		var syntax *SyntaxError
		errors.As(err, &syntax)
		return nil, errors.New(syntax.Text)
	}
	l = &accessList{name: name, statements: statements}
	p.mu.Lock()
	if len(p.others) >= maxInline {
		clear(p.others)
	}
	p.others[text] = l
	p.mu.Unlock()
	return l, nil
}

// reason is the system's text for an error of opening a file, as strerror gives it.
func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		text := number.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "No such file or directory"
	}
	return err.Error()
}

// Nested runs an ACL for ${acl{...}} and the acl condition of the expansion language; it fits expand.Hooks.ACL. The text is the
// ACL's message, whether it accepts or denies; a defer is a forced failure. The phase is that of the ACL around it.
func (p *Program) Nested(s *expand.Scope, name string, arguments []mail.Value) (accepted bool, text mail.Value, err error) {
	r := &Run{Ctx: s.Ctx, Scope: s, Phase: Expansion, Services: p.services, program: p, targets: LogMain | LogReject}
	if n := mail.Peek[nesting](&s.Bag); n != nil && n.level > 0 {
		r.Phase, r.depth = n.phase, n.level
	}
	switch r.withArguments(name, arguments) {
	case OK, Discard:
		return true, mail.Value{S: r.UserMessage, Tainted: r.tainted}, nil
	case Fail, FailDrop:
		return false, mail.Value{S: r.UserMessage, Tainted: r.tainted}, nil
	case Defer:
		return false, mail.Value{}, expand.ErrForced
	}
	return false, mail.Value{}, &expand.Error{Text: "ERROR from acl \"" + name + "\""}
}

// nesting says in which ACL an expansion stands: ACLs and expansions can call one another.
type nesting struct {
	phase Phase
	level int
}

// withArguments runs an ACL with $acl_arg1 and so on set.
func (r *Run) withArguments(name string, arguments []mail.Value) Verdict {
	old := r.Scope.ACLArguments
	r.Scope.ACLArguments = arguments
	r.depth++
	verdict := r.internal(name)
	r.depth--
	r.Scope.ACLArguments = old
	return verdict
}
