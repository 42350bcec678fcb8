package cli

import (
	"context"
	"errors"
	options "flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	room "exigo/internal/feature/dmarc"
	"exigo/internal/outside"
	"exigo/internal/proto/address"
	"exigo/internal/proto/dmarc"
)

const dmarcReportUsage = `usage: exigo dmarc-report -from ADDRESS [options] HISTORY-FILE...

Makes DMARC aggregate reports (RFC 9990) from files that dmarc_history_file names, one for each domain that asks for some.

`

// reporter is one call of exigo dmarc-report.
type reporter struct {
	world     *outside.World
	out, errs io.Writer
	period    room.Period
	directory string
	format    string
	from      string
	treeWalk  bool
	unchecked bool
	files     []string
}

// dmarcReport is "exigo dmarc-report": it writes a report for each domain into a directory, and its path to the standard output.
func dmarcReport(words []string, world *outside.World, out io.Writer) error {
	return (&reporter{world: world, out: out, errs: os.Stderr}).run(context.Background(), words)
}

func (r *reporter) run(ctx context.Context, words []string) error {
	if err := r.parse(words); err != nil {
		return err
	}
	readers := make([]io.Reader, 0, len(r.files))
	for _, name := range r.files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		readers = append(readers, f, strings.NewReader("\n"))
	}
	reports, err := room.Reports(io.MultiReader(readers...), r.period)
	if err != nil {
		return err
	}
	for i := range reports {
		if err := r.write(ctx, &reports[i]); err != nil {
			return err
		}
	}
	return nil
}

// parse reads the command line.
func (r *reporter) parse(words []string) error {
	f := options.NewFlagSet("dmarc-report", options.ContinueOnError)
	f.SetOutput(r.errs)
	f.Usage = func() { fmt.Fprint(r.errs, dmarcReportUsage); f.PrintDefaults() }
	begin, end := f.String("begin", "", "first `time`: 2026-11-22, or as in RFC 3339, or seconds of the epoch"), f.String("end", "", "`time` after the last one")
	f.StringVar(&r.period.Domain, "domain", "", "report to this `domain` only")
	f.StringVar(&r.from, "from", "", "mail `address` of the reporter")
	f.StringVar(&r.period.Organization, "org", "", "`name` of the reporting organization (default: the domain of -from)")
	f.StringVar(&r.format, "format", "gz", "gz, xml, or eml: complete messages to the domains' destinations")
	f.StringVar(&r.directory, "dir", ".", "`directory` for the reports")
	f.BoolVar(&r.treeWalk, "tree-walk", false, "with eml: find organizations by the tree walk of RFC 9989")
	f.BoolVar(&r.unchecked, "no-check", false, "with eml: do not ask foreign destinations in the DNS whether they want reports")
	if err := f.Parse(words); err != nil {
		return errors.New("nothing was done")
	}
	r.files = f.Args()
	m, err := address.Extract(r.from, address.Options{AllowUTF8: true})
	domain := dmarc.Domain(m.DomainPart())
	switch {
	case err != nil || domain == "":
		return errors.New("-from must be a mail address")
	case len(r.files) == 0:
		return errors.New("no history file was named")
	case r.format != "gz" && r.format != "xml" && r.format != "eml":
		return errors.New("-format must be gz, xml or eml")
	}
	r.period.Email, r.period.Receiver, r.period.Generator = m.Address, domain, "exigo "+r.world.Version
	if r.period.Organization == "" {
		r.period.Organization = domain
	}
	if r.period.Begin, err = parseMoment(*begin); err != nil {
		return err
	}
	r.period.End, err = parseMoment(*end)
	return err
}

// parseMoment reads a time; "" is the zero time.
func parseMoment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	var seconds int64
	if _, err := fmt.Sscanf(text, "%d", &seconds); err != nil || fmt.Sprint(seconds) != text {
		return time.Time{}, fmt.Errorf("%q is no time", text)
	}
	return time.Unix(seconds, 0), nil
}

// write writes one report.
func (r *reporter) write(ctx context.Context, report *room.Report) error {
	name := report.Feedback.FileName(r.period.Receiver)
	var text strings.Builder
	var err error
	switch r.format {
	case "xml":
		err = report.Feedback.WriteXML(&text)
	case "gz":
		name += ".gz"
		err = report.Feedback.WriteGzip(&text)
	default:
		name = strings.TrimSuffix(name, ".xml") + ".eml"
		var to []string
		if to = r.recipients(ctx, report); len(to) == 0 {
			return nil
		}
		var message string
		message, err = dmarc.AggregateMessage(report.Feedback, r.from, strings.Join(to, ",\n\t"), r.period.Receiver, "exigo"+r.word())
		text.WriteString("Date: " + r.world.Clock.Now().Format(time.RFC1123Z) + "\nMessage-ID: <" + r.word() + "@" + r.period.Receiver + ">\n" + message)
	}
	if err != nil {
		return err
	}
	path := filepath.Join(r.directory, name)
	if err := os.WriteFile(path, []byte(text.String()), 0o640); err != nil {
		return err
	}
	fmt.Fprintln(r.out, path)
	return nil
}

// recipients are the mailboxes that may be sent the report; the others are named on the standard error.
func (r *reporter) recipients(ctx context.Context, report *room.Report) (to []string) {
	allowed := report.Destinations
	if !r.unchecked {
		suffixes := dmarc.BuiltIn()
		if r.treeWalk {
			suffixes = nil
		}
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		var err error
		if allowed, err = dmarc.Destinations(ctx, room.Resolver(r.world), suffixes, report.Feedback.Policy.Domain, report.Destinations, false); err != nil {
			fmt.Fprintf(r.errs, "%s: %v\n", report.Feedback.Policy.Domain, err)
		}
	}
	for _, u := range allowed {
		if mailbox := u.Mailbox(); mailbox != "" {
			to = append(to, mailbox)
		}
	}
	if len(to) < len(report.Destinations) {
		fmt.Fprintf(r.errs, "%s: %d of %d destinations are left out: not mailboxes, or they do not want reports about it\n", report.Feedback.Policy.Domain,
			len(report.Destinations)-len(to), len(report.Destinations))
	}
	return to
}

// word is one that was not used before.
func (r *reporter) word() string {
	var b [12]byte
	if _, err := r.world.Random.Read(b[:]); err != nil {
		return fmt.Sprint(r.world.Clock.Now().UnixNano())
	}
	return fmt.Sprintf("%x", b)
}
