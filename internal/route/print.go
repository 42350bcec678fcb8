package route

import (
	"context"
	"fmt"
	"io"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/address"
)

// TestOptions say how PrintTest works.
type TestOptions struct {
	// Verify is -bv and -bvs, otherwise it is -bt; Sender is -bvs.
	Verify, Sender bool
	// Full shows where the address goes with -bv, too (-v).
	Full bool
	// Reasons shows why an address cannot be delivered; only for administrators.
	Reasons bool
}

// The exit codes of -bt and -bv: the highest one of all addresses counts.
const (
	TestGood     = 0
	TestDeferred = 1
	TestFailed   = 2
)

// Tester tests addresses for -bt and -bv. It remembers addresses, to mark duplicates.
type Tester struct {
	Engine  *Engine
	Out     io.Writer
	Options TestOptions

	seen map[string]bool
}

// Test tests one address as it stood on the command line and returns the exit code it asks for.
func (t *Tester) Test(ctx context.Context, s *expand.Scope, text string) int {
	m := option.Of[config.Main](s.Config.MainOptions())
	box, err := address.Extract(text, address.Options{
		AllowLiterals: m.AllowDomainLiterals, AllowUTF8: m.AllowUTF8Domains,
		StripTrailingDot: m.StripTrailingDot, StripExcessAngles: m.StripExcessAngleBrackets,
	})
	if err != nil {
		fmt.Fprintf(t.Out, "syntax error: %s\n", err)
		return TestFailed
	}
	e, start := t.Engine, box.Address
	if box.Domain == 0 {
		start = e.qualify(s, start, t.Options.Sender)
	}
	if t.Options.Verify && !t.Options.Full {
		return t.brief(ctx, s, start)
	}
	if rewrite := e.services.RewriteAddress; rewrite != nil {
		if changed, err := rewrite(s, start, t.Options.Sender); err == nil && changed != "" {
			start = changed
		}
	}
	return t.full(ctx, s, start)
}

// brief is -bv without details.
func (t *Tester) brief(ctx context.Context, s *expand.Scope, start string) int {
	v := t.Engine.Verify(ctx, s, start, VerifyOptions{Sender: t.Options.Sender, Unqualified: true})
	switch v.Result {
	case mail.Delivered:
		fmt.Fprintf(t.Out, "%s verified\n", v.Address)
		return TestGood
	case mail.Failed:
		fmt.Fprintf(t.Out, "%s failed to verify%s\n", v.Address, t.reason(v.Message))
		return TestFailed
	}
	fmt.Fprintf(t.Out, "%s cannot be resolved at this time%s\n", v.Address, t.reason(v.Message))
	return TestDeferred
}

func (t *Tester) reason(text string) string {
	if !t.Options.Reasons {
		return ""
	}
	return ": " + text
}

// full routes an address and all that is made of it, and shows the results: first what fails and pipes and files, as they
// come, then the others, the last one first, local deliveries before remote ones.
func (t *Tester) full(ctx context.Context, s *expand.Scope, start string) int {
	mode := mail.ForTesting
	if t.Options.Verify {
		mode = mail.ForVerifyRecipient
		if t.Options.Sender {
			mode = mail.ForVerifySender
		}
	}
	if t.seen == nil {
		t.seen = make(map[string]bool)
	}
	code, shown := TestGood, 0
	var local, remote []*mail.Address
	todo := []*mail.Address{{Address: start, Unique: UniqueOf(start), Original: -1, Mode: mode}}
	for n := 0; len(todo) > 0 && n < maxVerified*maxVerified; n++ {
		a := todo[0]
		todo = todo[1:]
		if a.Kind != mail.KindNormal {
			shown++
			code = max(code, t.showDelivery(a))
			continue
		}
		r := t.Engine.Route(ctx, s, a)
		switch r.Outcome {
		case Fail:
			word := "is undeliverable"
			if t.Options.Verify {
				word = "failed to verify"
			}
			t.showProblem(a, word)
			code, shown = max(code, TestFailed), shown+1
		case Defer, Error:
			t.showProblem(a, "cannot be resolved at this time")
			code, shown = max(code, TestDeferred), shown+1
		case Discard:
		default:
			switch {
			case !r.Assigned:
			case r.Local:
				local = append(local, a)
			default:
				remote = append(remote, a)
			}
		}
		todo = append(r.Children, todo...)
	}
	for _, list := range [][]*mail.Address{local, remote} {
		for i := len(list) - 1; i >= 0; i-- {
			t.showSuccess(s, list[i])
			shown++
		}
	}
	if shown == 0 {
		fmt.Fprintf(t.Out, "mail to %s is discarded\n", start)
	}
	return code
}

// showProblem shows an address that is not deliverable, with its ancestors.
func (t *Tester) showProblem(a *mail.Address, word string) {
	fmt.Fprintf(t.Out, "%s %s%s\n", a.Address, word, t.reason(a.Outcome.Message))
	t.showParents(a)
}

func (t *Tester) showParents(a *mail.Address) {
	for p := a.Parent; p != nil; p = p.Parent {
		fmt.Fprintf(t.Out, "    <-- %s\n", p.Address)
	}
}

// showDelivery shows a pipe or file.
func (t *Tester) showDelivery(a *mail.Address) int {
	fmt.Fprintf(t.Out, "%s -> %s", a.Parent.Address, a.Address)
	switch {
	case a.Outcome.Result == mail.Failed:
		fmt.Fprint(t.Out, " *** forbidden ***\n")
	case a.Transport == "":
		fmt.Fprintf(t.Out, "\n*** Error in setting up pipe, file, or autoreply:\n%s\n", a.Outcome.Message)
	default:
		fmt.Fprintf(t.Out, "\n  transport = %s\n", a.Transport)
	}
	return TestGood
}

// showSuccess shows an address with its ancestors, router, transport and hosts.
func (t *Tester) showSuccess(s *expand.Scope, a *mail.Address) {
	duplicate := ""
	if t.seen[a.Unique] {
		duplicate = "   [duplicate, would not be delivered]"
	}
	t.seen[a.Unique] = true
	transport := a.Transport
	if transport == "" {
		transport = "unset"
	}
	fmt.Fprintf(t.Out, "%s%s\n", a.Address, duplicate)
	t.showParents(a)
	fmt.Fprintf(t.Out, "  router = %s, transport = %s\n", a.Router, transport)
	if a.Transport == "" || t.Engine.services.Transport == nil {
		return
	}
	if info, ok := t.Engine.services.Transport(a.Transport); ok && !info.OverridesHosts {
		t.showHosts(s, a.Hosts, info.Local)
	}
}

// showHosts shows hosts in columns.
func (t *Tester) showHosts(s *expand.Scope, hosts []mail.Host, local bool) {
	name, addr := 0, 0
	for _, h := range hosts {
		name, addr = max(name, len(h.Name)), max(addr, len(hostAddress(h)))
	}
	for _, h := range hosts {
		text := "[" + hostAddress(h) + "]"
		if !h.Address.IsValid() && local {
			text = "" // nobody looked for one
		}
		var b strings.Builder
		fmt.Fprintf(&b, "  host %-*s %-*s", name, h.Name, addr+2, text)
		if h.MX >= 0 {
			fmt.Fprintf(&b, " MX=%d", h.MX)
		}
		if h.Port != 0 {
			fmt.Fprintf(&b, " port=%d", h.Port)
		}
		if h.Secure && s.Engine.World.Quirks.On {
			b.WriteString(" AD")
		}
		if h.Status == mail.HostUnusable {
			b.WriteString(" ** unusable **")
		}
		fmt.Fprintf(t.Out, "%s\n", b.String())
	}
}

// hostAddress is a host's address as it is shown.
func hostAddress(h mail.Host) string {
	if !h.Address.IsValid() {
		return "unknown"
	}
	return h.Address.Unmap().String()
}
