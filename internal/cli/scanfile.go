package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"exigo/internal/acl"
	"exigo/internal/mail"
	"exigo/internal/scan"
	"exigo/internal/submit"
)

// scanFile is -bmalware: what the virus scanner of av_scanner says of a file, which stands for the body of a message.
func (p *Program) scanFile(ctx context.Context) error {
	if !p.admin() {
		return exitf(1, "exim: permission denied")
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer p.finish(ctx)
	p.logToStderr()
	id := fmt.Sprintf("dummy-%d", p.World.Random.Intn(1<<31-1))
	m := &mail.Message{ID: id, Session: &mail.Session{}, Sender: "malware-sender@example.net", RawSender: "malware-sender@example.net", SenderSet: true,
		Recipients: []mail.Recipient{{Address: "malware-victim@example.net", Parent: -1}}}
	file, err := os.Open(p.Arguments.ScanFile)
	if err == nil {
		defer file.Close()
	}
	defer submit.WithBody(m, func() (*io.SectionReader, error) {
		if file == nil {
			return nil, errors.New("Could not open datafile for message " + id)
		}
		st, err := file.Stat()
		if err != nil || !st.Mode().IsRegular() {
			return nil, errors.New("Could not open datafile for message " + id)
		}
		return io.NewSectionReader(file, 0, st.Size()), nil
	})()
	s := p.Server.Scope(ctx, m)
	defer func() { scan.Room().Ended(s, m, nil) }()
	switch o := p.Server.ACL.Run(ctx, s, acl.Data, "accept malware = *"); o.Verdict {
	case acl.OK:
		name, err := p.Server.Engine.Expand(s, "$malware_name")
		if err != nil {
			return err
		}
		fmt.Fprintf(p.Stdout, "Malware found: %s\n", name.S)
	case acl.Fail:
		fmt.Fprintln(p.Stdout, "No malware found.")
		return nil
	default:
		fmt.Fprintln(p.Stdout, "Malware lookup returned non-okay/fail: 1")
	}
	return &exitError{status: 1}
}
