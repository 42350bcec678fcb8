package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/retry"
)

// expand is -be: each text is expanded and shown.
func (p *Program) expand(ctx context.Context) error {
	if err := p.checksAllowed(); err != nil {
		return err
	}
	m, forget, err := p.expansionMessage(ctx)
	if err != nil {
		return err
	}
	defer forget()
	p.logToCaller()
	if m == nil { // the body of a message is read when it is asked for, from files of our own
		err = p.becomeCaller()
	}
	if err == nil {
		err = p.begin(ctx)
	}
	if err != nil {
		return err
	}
	visible := m != nil
	if m == nil {
		if m, err = p.callersMessage(); err != nil {
			return err
		}
	}
	s := p.Server.Engine.NewScope(ctx, p.Server.Config, m.Session, m)
	if visible {
		defer s.SetExtra("recipients_visible", mail.Clean("1"))()
	} else {
		defer s.SetExtra("return_path", mail.Value{})()
	}
	console, done := p.openConsole()
	defer done()
	p.showExpansions(s, console.out)
	t := expansionTest{p: p, scope: s, message: m, macros: p.Server.Config.NewMacroReader(), out: console.out}
	return p.eachLine(console, true, t.line)
}

// showExpansions has the steps of expansions written to the standard error (-d+expand), behind what is in out, which may be nil.
func (p *Program) showExpansions(s *expand.Scope, out *bufio.Writer) {
	if !p.Arguments.Debugs("expand", false) {
		return
	}
	s.Debug = func(format string, args ...any) {
		if out != nil {
			out.Flush()
		}
		fmt.Fprintf(p.Stderr, format+"\n", args...)
	}
}

// expansionTest is one run of -be.
type expansionTest struct {
	p       *Program
	scope   *expand.Scope
	message *mail.Message
	macros  *config.MacroReader
	out     *bufio.Writer
	result  []byte
}

// line obeys one line: the definition of a macro, the setting of a variable, or a text to expand.
func (t *expansionTest) line(text string) {
	text, name, err := t.macros.Line(text)
	if name != "" {
		fmt.Fprintf(t.out, "Defined macro '%s'\n", name)
		return
	}
	var v expand.Value
	target, text := assignment(text)
	switch {
	case err != nil:
	case target != nil:
		v, err = t.p.Server.Engine.Expand(t.scope, text)
	default:
		t.result, err = t.p.Server.Engine.AppendExpand(t.result[:0], t.scope, text)
	}
	switch {
	case err != nil:
		fmt.Fprintf(t.out, "Failed: %v\n", expansionText(err))
	case target != nil:
		if name, err = target.set(t.message, v); err != nil {
			fmt.Fprintf(t.out, "%v\n", err)
			return
		}
		fmt.Fprintf(t.out, "variable %s set\n", name)
	default:
		t.out.Write(t.result)
		t.out.WriteByte('\n')
	}
}

func expansionText(err error) string {
	var e *expand.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}

// checksAllowed refuses testing modes to ordinary users where commandline_checks_require_admin is set.
func (p *Program) checksAllowed() error {
	if p.Server.Main.CommandlineChecksRequireAdmin && !p.admin() {
		return exitf(1, "exim: permission denied; %s requires admin", p.Arguments.Mode)
	}
	return nil
}

// printConfiguration is -bP.
func (p *Program) printConfiguration(context.Context) error {
	return config.Print(p.Stdout, p.Server.Config, p.Arguments.Operands, p.admin(), p.Arguments.NoNames)
}

// retryTest is -brt: which retry rule fits an address or host, an optional second domain, and an optional error name.
func (p *Program) retryTest(ctx context.Context) error {
	words := p.Arguments.Operands
	if len(words) == 0 {
		return exitf(1, "-brt needs a domain or address argument")
	}
	f := retry.Failure{Key: words[0], Sender: p.Arguments.Submission.Sender, SenderKnown: p.Arguments.Submission.SenderGiven}
	if !strings.ContainsAny(words[0], "@.") {
		fmt.Fprintf(p.Stdout, "Warning: \"%s\" contains no '@' and no '.' characters. It is being \ntreated as a one-component domain, not as a local part.\n\n", words[0])
	}
	if words = words[1:]; len(words) > 0 && strings.Contains(words[0], ".") {
		f.Alternate, words = words[0], words[1:]
	}
	if len(words) > 0 {
		var err error
		if f.Errno, f.MoreErrno, err = retry.ParseErrorName(words[0]); err != nil {
			return exitf(1, "%v", err)
		}
	}
	s := p.Server.Engine.NewScope(ctx, p.Server.Config, nil, nil)
	p.showExpansions(s, nil)
	rule, err := p.Server.Rules.Find(s, f)
	if err != nil {
		return err
	}
	if rule == nil {
		fmt.Fprintln(p.Stdout, "No retry information found")
		return nil
	}
	fmt.Fprintf(p.Stdout, "Retry rule: %s\n", rule)
	return nil
}

// logLine is -z: one line of the caller's for the main log.
func (p *Program) logLine(context.Context) error {
	p.Server.Log.Mainf("", "%s", p.Arguments.LogLine)
	return nil
}

// rebuild is -bi: runs bi_command as the caller.
func (p *Program) rebuild(ctx context.Context) error {
	command := p.Server.Main.BICommand
	if command == "" {
		return nil
	}
	return p.runAsCaller(ctx, command, p.Arguments.AliasFile)
}
