package cli

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"exigo/internal/catalog"
	"exigo/internal/config"
	"exigo/internal/expand"
	nouns "exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/submit"
)

// checkMailConfiguration is what "exigo check-mail" has a message received with: an ACL that asks every room for its verdict, and refuses.
//
//go:embed defaults/checkmail.conf
var checkMailConfiguration string

const checkMailUsage = "usage: exigo check-mail FILE --ip ADDRESS [--helo NAME] [--from ADDRESS] [--name HOSTNAME] [-C FILE] [--json]"

// mailCheck is one call of "exigo check-mail": a stored message, and how it came.
type mailCheck struct {
	file, helo, from, name string
	// site is a configuration file whose settings of siteOptions count, "" for none.
	site          string
	ip            netip.Addr
	fromSet, json bool
}

// siteOptions are the options of the main section that bear on verdicts.
var siteOptions = []string{"dkim_verify_hashes", "dkim_verify_keytypes", "dkim_verify_min_keysizes", "dkim_verify_minimal", "dmarc_tld_file", "dmarc_tree_walk",
	"dns_cname_loops", "dns_dnssec_ok", "dns_retrans", "dns_retry", "dns_use_edns0", "spf_guess", "spf_smtp_comment_template"}

// checkMail says what SPF, DKIM, ARC and DMARC find out about a stored message, and which answers of the DNS led there. The message is received as if
// the host had sent it now, by the rooms that do so in earnest, and not kept.
func checkMail(words []string, world *outside.World, out io.Writer) error {
	c, err := parseCheckMail(words)
	if err != nil {
		return err
	}
	f, err := os.Open(c.file)
	if err != nil {
		return err
	}
	defer f.Close()
	if !c.fromSet {
		if c.from, err = returnPath(f); err != nil {
			return err
		}
	}
	report, err := c.run(context.Background(), f, world)
	if err != nil {
		return err
	}
	if c.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(report)
	}
	return report.print(out)
}

// parseCheckMail reads the command line.
func parseCheckMail(words []string) (*mailCheck, error) {
	c := &mailCheck{}
	for i := 0; i < len(words); i++ {
		name, value, has := strings.Cut(words[i], "=")
		if name == "--json" && !has {
			c.json = true
			continue
		}
		if !strings.HasPrefix(name, "--") && name != "-C" {
			if c.file != "" {
				return nil, errors.New(checkMailUsage)
			}
			c.file = words[i]
			continue
		}
		if !has {
			if i++; i == len(words) {
				return nil, errors.New(checkMailUsage)
			}
			value = words[i]
		}
		switch name {
		case "--ip":
			var err error
			if c.ip, err = netip.ParseAddr(value); err != nil || c.ip.Zone() != "" {
				return nil, fmt.Errorf("malformed IP address %q", value)
			}
		case "--helo":
			c.helo = value
		case "--from":
			c.from, c.fromSet = strings.Trim(value, "<>"), true
		case "--name":
			if c.name = value; value == "" || strings.ContainsAny(value, " \t\r\n\x00\\$") {
				return nil, errors.New(checkMailUsage)
			}
		case "-C":
			c.site = value
		default:
			return nil, errors.New(checkMailUsage)
		}
	}
	if c.file == "" || !c.ip.IsValid() {
		return nil, errors.New(checkMailUsage)
	}
	if c.helo == "" {
		c.helo = "[" + c.ip.String() + "]"
	}
	return c, nil
}

// returnPath takes the sender from the Return-Path: line that a final delivery leaves, "" without one.
func returnPath(f *os.File) (string, error) {
	m, err := mail.ReadMessage(bufio.NewReader(io.LimitReader(f, 1<<20)))
	if _, seek := f.Seek(0, io.SeekStart); seek != nil {
		return "", seek
	}
	if err != nil {
		return "", nil // what is wrong with the message shows later
	}
	return strings.Trim(m.Header.Get("Return-Path"), "<> \t"), nil
}

// mailReport is what a check found; its JSON is the command's output.
type mailReport struct {
	File     string          `json:"file"`
	IP       string          `json:"ip"`
	HELO     string          `json:"helo"`
	From     string          `json:"from"`
	Verdicts []verdictReport `json:"verdicts"`
	// Variables are those of the configuration language that tell more.
	Variables map[string]string `json:"variables"`
	// Results is the Authentication-Results field that would be added.
	Results string      `json:"authentication_results"`
	DNS     []dnsReport `json:"dns"`
}

type verdictReport struct {
	Method     string            `json:"method"`
	Result     string            `json:"result"`
	Reason     string            `json:"reason,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
}

type dnsReport struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Answers []string `json:"answers,omitempty"`
	// Canonical is the name at the end of a chain of aliases, "" for the name asked for.
	Canonical string `json:"canonical,omitempty"`
	// Error is what came in place of an answer.
	Error string `json:"error,omitempty"`
}

// detailVariables are the variables reported.
var detailVariables = []string{"spf_header_comment", "spf_smtp_comment", "dmarc_status", "dmarc_status_text", "dmarc_used_domain", "dmarc_domain_policy",
	"dmarc_alignment_spf", "dmarc_alignment_dkim", "arc_state_reason", "arc_domains", "arc_oldest_pass"}

// run receives the message.
func (c *mailCheck) run(ctx context.Context, f io.Reader, world *outside.World) (*mailReport, error) {
	dir, err := os.MkdirTemp("", "exigo-check-mail-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	settings, err := c.settings(ctx, world)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "exigo.conf")
	text := settings + strings.ReplaceAll(checkMailConfiguration, "FOLDER", dir)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	recorder := &dnsRecorder{Resolver: world.DNS}
	own := *world
	own.DNS = recorder
	var errs strings.Builder
	s, err := catalog.Load(ctx, catalog.Request{World: &own, Path: path, Alternate: true, Unprivileged: true, Stderr: &errs})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	session := &nouns.Session{Started: own.Clock.Now(), SMTP: true, Host: c.ip, HELO: c.helo, ESMTP: true}
	m := &nouns.Message{Session: session, Sender: c.from, RawSender: c.from, SenderSet: true, Protocol: "esmtp",
		Recipients: []nouns.Recipient{{Address: "postmaster@" + c.name, Parent: -1}}}
	scope := s.Engine.NewScope(ctx, s.Config, session, m)
	result := s.Receiver.Receive(ctx, &submit.Input{Message: m, Scope: scope, Source: submit.NewLocalReader(f, false), FromLine: true})
	switch {
	case result.ReadError != nil:
		return nil, result.ReadError
	case result.Failure != nil:
		return nil, fmt.Errorf("the message cannot be received: %s", strings.TrimSpace(result.Reply))
	case result.Refused == nil || !strings.HasPrefix(result.Refused.UserMessage, "checked"):
		return nil, fmt.Errorf("the message was not checked to its end: %+v %s", result.Refused, errs.String())
	}
	return c.report(scope, recorder), nil
}

// settings are the lines of the configuration that the site's file and the command line decide.
func (c *mailCheck) settings(ctx context.Context, world *outside.World) (string, error) {
	var b strings.Builder
	if c.site != "" {
		own := *world
		s, err := catalog.Load(ctx, catalog.Request{World: &own, Path: c.site, Alternate: true, Unprivileged: true})
		if err != nil {
			return "", err
		}
		defer s.Close()
		for _, option := range siteOptions {
			if !s.Config.IsSet(option) {
				continue
			}
			if err := config.Print(&b, s.Config, []string{option}, true, false); err != nil {
				return "", err
			}
		}
		c.name = cmp.Or(c.name, s.Main.PrimaryHostname)
	}
	c.name = cmp.Or(c.name, "localhost")
	b.WriteString("primary_hostname = " + c.name + "\n")
	return b.String(), nil
}

// report puts together what is known of a message that was received.
func (c *mailCheck) report(s *expand.Scope, recorder *dnsRecorder) *mailReport {
	r := &mailReport{File: c.file, IP: c.ip.String(), HELO: c.helo, From: c.from, Verdicts: []verdictReport{}, Variables: map[string]string{}, DNS: recorder.asked}
	for _, v := range s.Message.Verdicts {
		one := verdictReport{Method: v.Method, Result: v.Result, Reason: v.Reason, Properties: map[string]string{}}
		if one.Reason == "" {
			one.Reason = strings.ReplaceAll(v.Comment, ")(", ", ")
		}
		for _, p := range v.Properties {
			one.Properties[strings.TrimPrefix(p.Type+"."+p.Name, ".")] = p.Value
		}
		r.Verdicts = append(r.Verdicts, one)
	}
	value := func(text string) string {
		v, err := s.Engine.Expand(s, text)
		if err != nil {
			return ""
		}
		return v.S
	}
	for _, name := range detailVariables {
		if v := value("$" + name); v != "" {
			r.Variables[name] = v
		}
	}
	r.Results = value("${authresults{" + c.name + "}}")
	return r
}

// print writes the report for people.
func (r *mailReport) print(w io.Writer) error {
	b := bufio.NewWriter(w)
	clean := func(s string) string { return strings.Map(printableRune, s) }
	fmt.Fprintf(b, "message  %s\nclient   %s, HELO %s, MAIL FROM:<%s>\n\n", clean(r.File), r.IP, clean(r.HELO), clean(r.From))
	for _, v := range r.Verdicts {
		fmt.Fprintf(b, "%-8s %s", strings.ToUpper(v.Method), v.Result)
		if v.Reason != "" {
			fmt.Fprintf(b, " (%s)", clean(v.Reason))
		}
		b.WriteByte('\n')
		for _, name := range sortedKeys(v.Properties) {
			fmt.Fprintf(b, "           %s = %s\n", clean(name), clean(v.Properties[name]))
		}
	}
	if len(r.Verdicts) == 0 {
		b.WriteString("no verdicts\n")
	}
	b.WriteByte('\n')
	for _, name := range sortedKeys(r.Variables) {
		fmt.Fprintf(b, "$%s: %s\n", name, clean(r.Variables[name]))
	}
	fmt.Fprintf(b, "\nquestions to the DNS: %d\n", len(r.DNS))
	for _, d := range r.DNS {
		fmt.Fprintf(b, "  %-5s %s", d.Type, clean(d.Name))
		if d.Canonical != "" {
			fmt.Fprintf(b, " (an alias of %s)", clean(d.Canonical))
		}
		if d.Error != "" {
			fmt.Fprintf(b, ": %s", clean(d.Error))
		}
		b.WriteByte('\n')
		for _, a := range d.Answers {
			fmt.Fprintf(b, "          %s\n", clean(a))
		}
	}
	fmt.Fprintf(b, "\n%s\n", strings.Map(func(c rune) rune {
		if c == '\n' || c == '\t' {
			return c
		}
		return printableRune(c)
	}, r.Results))
	return b.Flush()
}

// printableRune keeps control characters off the terminal.
func printableRune(c rune) rune {
	if c < ' ' || c >= 0x7f && c < 0xa0 {
		return '?'
	}
	return c
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// dnsRecorder notes what the DNS is asked and says.
type dnsRecorder struct {
	outside.Resolver
	mu    sync.Mutex
	asked []dnsReport
}

// Configure passes on what the configuration says of the DNS.
func (d *dnsRecorder) Configure(o outside.DNSOptions) {
	if c, ok := d.Resolver.(interface{ Configure(outside.DNSOptions) }); ok {
		c.Configure(o)
	}
}

// Lookup implements outside.Resolver.
func (d *dnsRecorder) Lookup(ctx context.Context, q outside.Question) (outside.Answer, error) {
	a, err := d.Resolver.Lookup(ctx, q)
	r := dnsReport{Name: strings.TrimSuffix(q.Name, "."), Type: typeName(q.Type)}
	if err != nil {
		r.Error = err.Error()
	}
	if a.Canonical != "" && !strings.EqualFold(a.Canonical, r.Name) {
		r.Canonical = a.Canonical
	}
	for _, one := range a.Records {
		text := one.Data
		if q.Type == outside.TypeMX {
			text = fmt.Sprintf("%d %s", one.Preference, one.Data)
		}
		r.Answers = append(r.Answers, text)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, r)
	return a, err
}

// typeName is the name of a record type.
func typeName(t outside.RRType) string {
	names := map[outside.RRType]string{outside.TypeA: "A", outside.TypeAAAA: "AAAA", outside.TypeMX: "MX", outside.TypeTXT: "TXT", outside.TypePTR: "PTR",
		outside.TypeCNAME: "CNAME", outside.TypeNS: "NS", outside.TypeSOA: "SOA", outside.TypeSRV: "SRV", outside.TypeTLSA: "TLSA", outside.TypeSPF: "SPF"}
	if n := names[t]; n != "" {
		return n
	}
	return fmt.Sprintf("TYPE%d", t)
}
