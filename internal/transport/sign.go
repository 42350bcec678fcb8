package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"exigo/internal/mail"
)

// Signer puts header lines on top of the messages that the smtp transport sends: signatures over what goes out. It runs for every attempt,
// when the header block is composed and the transport filter is through, so that nothing changes the message any more.
type Signer struct {
	// Name is the room's; Doc one sentence for the reference.
	Name, Doc string
	// Wanted tells from the options whether the run's messages are to be signed. Where no signer is wanted, nothing is read twice.
	Wanted func(r *Run) bool
	// Sign returns complete header lines, LF line ends, that are to stand above those of m, "" for none. m.Header is the header block with
	// what earlier signers added; m.WriteBody gives the body. An error, an *Error, is the outcome of the run's addresses: the message is not
	// sent then.
	Sign func(ctx context.Context, r *Run, m *Message) (lines string, err error)
}

// Sign has the signers sign the message, in order, each seeing the lines of those before it. Where one is wanted, a transport filter is run
// into a temporary file beside the spooled message first, and the message becomes what the filter made of it. release must be called when the
// message is not needed any more. The error, an *Error, is the outcome of the run's addresses.
func Sign(ctx context.Context, r *Run, m *Message, signers []*Signer) (release func(), err error) {
	release = func() {}
	if m.BodyOnly {
		return release, nil
	}
	for _, s := range signers {
		if !s.Wanted(r) {
			continue
		}
		if m.Filter != nil {
			if release, err = m.settle(ctx, r); err != nil {
				return release, err
			}
		}
		lines, err := s.Sign(ctx, r, m)
		if err != nil {
			return release, err
		}
		if lines != "" {
			m.Header = append(append(make([]byte, 0, len(lines)+len(m.Header)), lines...), m.Header...)
		}
	}
	return release, nil
}

// WriteBody writes the body to w, lines ending in LF; a CR is data. The message must not have a Filter.
func (m *Message) WriteBody(ctx context.Context, w io.Writer) error {
	if m.HeadersOnly {
		return nil
	}
	return m.Body.copyTo(ctx, w)
}

// settle replaces the message by what its filter makes of it.
func (m *Message) settle(ctx context.Context, r *Run) (release func(), err error) {
	release = func() {}
	dir := os.TempDir()
	if r.Body.File != nil {
		dir = filepath.Dir(r.Body.File.Name())
	}
	f, err := os.CreateTemp(dir, r.Message.ID+"-*-K")
	if err != nil {
		return release, Defer(mail.ErrnoUnknown, "%s transport: failed to create a temporary file for the filtered message: %v", r.Transport.Name, err)
	}
	os.Remove(f.Name())
	release = func() { f.Close() }
	size, err := m.WriteTo(ctx, f, WriteOptions{FinalNewline: true})
	var fe *FilterError
	switch {
	case errors.As(err, &fe) && fe.Timeout:
		return release, Defer(0, "%s", fe.Text)
	case errors.As(err, &fe):
		return release, Defer(mail.ErrnoFilterFail, "%s", fe.Text)
	case err != nil:
		return release, Defer(mail.ErrnoUnknown, "%s transport: %v", r.Transport.Name, err)
	}
	header, err := headerOf(io.NewSectionReader(f, 0, size))
	if err != nil {
		return release, Defer(mail.ErrnoFilterFail, "%s transport: filtered message: %v", r.Transport.Name, err)
	}
	at := min(int64(len(header))+1, size)
	m.Filter, m.HeadersOnly, m.Header = nil, false, header
	m.Body = Body{File: f, Offset: at, Size: size - at}
	return release, nil
}

// maxFilteredHeader bounds the header section of a filtered message.
const maxFilteredHeader = 4 << 20

// headerOf reads up to the first empty line.
func headerOf(r io.Reader) ([]byte, error) {
	in := bufio.NewReaderSize(r, 16<<10)
	var out []byte
	for start := true; ; {
		line, err := in.ReadSlice('\n')
		if start && len(line) == 1 && line[0] == '\n' {
			return out, nil
		}
		out = append(out, line...)
		switch {
		case err == io.EOF:
			return out, nil
		case len(out) > maxFilteredHeader:
			return nil, errors.New("the header section is too long")
		case err != nil && err != bufio.ErrBufferFull:
			return nil, err
		}
		start = err == nil
	}
}
