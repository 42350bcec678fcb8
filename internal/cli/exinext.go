package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"exigo/internal/hints"
	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/route"
	"exigo/internal/spool"
)

// runExinext is exinext (spec 54.10): when the hosts of addresses, addresses and messages may be tried again.
func runExinext(program string, words []string, world *outside.World, out, errs io.Writer) int {
	a, err := ParseArguments(program, words)
	if err == nil && len(a.Operands) == 0 {
		fmt.Fprintf(out, "Usage: %s [-C file] [-Dmacro=value] address|domain|local-part|message-id ...\n", program)
		return 1
	}
	p := &Program{World: world, Arguments: a, Stdout: out, Stderr: errs}
	if err == nil {
		err = p.load(context.Background())
	}
	if err != nil {
		fmt.Fprintf(errs, "%v\n", err)
		return 1
	}
	defer p.Server.Close()
	status := 0
	for _, text := range a.Operands {
		if err := p.showRetry(context.Background(), text); err != nil {
			fmt.Fprintf(errs, "%v\n", err)
			status = 1
		}
	}
	return status
}

// showRetry shows the records that concern one operand.
func (p *Program) showRetry(ctx context.Context, text string) error {
	wanted := p.retryKeys(ctx, text)
	db := hints.New(hints.Options{SpoolDirectory: string(p.Server.Main.SpoolDirectory), Clock: p.World.Clock, UID: -1, GID: -1, ReadOnly: true})
	defer db.Close()
	found := false
	err := hints.RetryTable().Each(db, "", func(key string, _ time.Time, r hints.Retry) bool {
		if wanted(key) {
			found = true
			p.printRetry(key, r)
		}
		return true
	})
	if err == nil && !found {
		fmt.Fprintf(p.Stdout, "No retry data found for %s\n", text)
	}
	return err
}

// retryKeys makes the test of keys: those of a message, of an address and its domain, and of the hosts that it is routed to.
func (p *Program) retryKeys(ctx context.Context, text string) func(key string) bool {
	if spool.IsID(text) {
		return func(key string) bool { return strings.HasSuffix(key, ":"+text) }
	}
	address, domain := text, ""
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		domain = text[at+1:]
	} else if strings.ContainsRune(text, '.') {
		domain, address = text, "postmaster@"+text
	} else {
		address = p.Server.Qualify(text, false)
	}
	names := map[string]bool{strings.ToLower(address): true, strings.ToLower(domain): domain != ""}
	hosts := map[string]bool{}
	a := &mail.Address{Address: address, Unique: route.UniqueOf(address), Original: -1, Mode: mail.ForTesting}
	s := p.Server.Scope(ctx, &mail.Message{Session: &mail.Session{}})
	p.Server.Routes.Route(ctx, s, a)
	for _, h := range a.Hosts {
		hosts[strings.ToLower(h.Name)] = true
	}
	return func(key string) bool {
		if len(key) < 2 || key[1] != ':' {
			return false
		}
		name := strings.ToLower(key[2:])
		host, _, _ := strings.Cut(name, ":")
		return names[name] || key[0] == 'T' && hosts[host]
	}
}

// printRetry shows one record.
func (p *Program) printRetry(key string, r hints.Retry) {
	kind := map[byte]string{'R': "Route: ", 'T': "Transport: "}[key[0]]
	if kind != "" && strings.ContainsRune(key, '@') {
		kind = map[byte]string{'R': "Route: ", 'T': "Deliver: "}[key[0]]
	}
	show := hints.Shower{Location: time.Local}
	at := func(unix int64) string { return show.Time(time.Unix(unix, 0)) }
	fmt.Fprintf(p.Stdout, "%s%s error %d: %s\n  first failed: %s\n  last tried:   %s\n  next try at:  %s\n", kind, shown(key[2:]), r.Errno, shown(r.Text),
		at(r.First), at(r.Last), at(r.Next))
	if r.Expired {
		fmt.Fprintln(p.Stdout, "  past final cutoff time")
	}
}

// shown makes a record's text fit for a terminal.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}
