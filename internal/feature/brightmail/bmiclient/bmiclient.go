// Package bmiclient is how the program reaches Brightmail's client library: in a process of its own, exigo-bmi, that loads the library
// when it starts (package coprocess says why). A request and its answer are a frame each; the frames of a message's body follow its request.
//
// Trust: messages are outsiders' and go to the library as they are; what comes back is bounded, and checked by those who use it.
package bmiclient

import (
	"errors"
	"fmt"
	"io"

	"exigo/internal/coprocess"
)

// Setup is what a process is started for.
type Setup struct {
	// Libraries are the files to load, in order; the last one has the calls. Names without a slash are searched for as by the dynamic linker.
	Libraries []string
	// Version is BMI_VERSION of the library's header file: a number, or else a text.
	Version string
	// Environment are the process's variables, NAME=value.
	Environment []string
}

// Message is a message to be judged, without its body.
type Message struct {
	// ConfigFile is that of the Brightmail server's client.
	ConfigFile string
	// Client is the address of the SMTP client.
	Client string
	// Sender is the envelope sender, "" for the null one.
	Sender     string
	Recipients []Recipient
	// Header are the fields with their line ends.
	Header []string
}

// Recipient is an envelope recipient and, maybe, the features that he wants, separated by colons.
type Recipient struct{ Address, OptIn string }

// Verdict is what a string that stands for a verdict says.
type Verdict struct {
	// Default says that the message is delivered as usual. Otherwise it goes to Location, or, if Nowhere, is not delivered.
	Default, Nowhere bool
	Location         string
	// Tracker is the part of the verdict that says which rules fired, for a header line.
	Tracker    string
	Recipients []string
}

// Failure is an error of the library: where and of what type by its own numbers, and what was tried.
type Failure struct {
	Location, Type int
	Text           string
}

// Error implements error in the words that Exim logs.
func (f *Failure) Error() string {
	return fmt.Sprintf("bmi error [loc %d type %d]: %s", f.Location, f.Type, f.Text)
}

// Library is the loaded library: functions rather than an interface, as tests have a few of them only.
type Library struct {
	// Scan returns a string for each verdict, and warnings that are no reason to fail.
	Scan func(m *Message, body io.Reader) (verdicts, warnings []string, err error)
	// Read opens such a string, Fired tells whether a rule fired for it.
	Read  func(verdict string) (*Verdict, error)
	Fired func(verdict string, rule int) (bool, error)
}

// request is one of three; the other fields are empty. The body follows a Scan in frames, the last of which is empty.
type request struct {
	Scan    *Message
	Verdict string
	// AskRule asks whether Rule fired for Verdict, otherwise Verdict is opened.
	AskRule bool
	Rule    int
}

// answer is what comes back.
type answer struct {
	Verdicts, Warnings []string
	Verdict            *Verdict
	Fired              bool
	Failure            *Failure
}

// Bounds of frames: a request holds a header section and all recipients, an answer verdicts with the recipients in them.
const (
	maxFrame  = 64 << 20
	bodyFrame = 64 << 10
)

func writeFrame(w io.Writer, data []byte) error { return coprocess.WriteFrame(w, data, maxFrame) }

func writeValue(w io.Writer, v any) error { return coprocess.WriteValue(w, v, maxFrame) }

func readValue(r io.Reader, v any) error { return coprocess.ReadValue(r, v, maxFrame) }

// bodyReader reads the frames of a body.
type bodyReader struct {
	r    io.Reader
	rest []byte
	err  error
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.rest, b.err = coprocess.ReadFrame(b.r, maxFrame)
		switch {
		case b.err == io.EOF: // the frame that ends the body is missing
			b.err = io.ErrUnexpectedEOF
		case b.err == nil && len(b.rest) == 0:
			b.err = io.EOF
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Serve is the process's side: it answers requests until the input ends, which is no error.
func Serve(r io.Reader, w io.Writer, l Library) error {
	for {
		var q request
		if err := readValue(r, &q); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		a := answer{}
		var err error
		switch {
		case q.Scan != nil:
			body := &bodyReader{r: r}
			a.Verdicts, a.Warnings, err = l.Scan(q.Scan, body)
			if _, drainErr := io.Copy(io.Discard, body); drainErr != nil {
				return drainErr
			}
		case q.AskRule:
			a.Fired, err = l.Fired(q.Verdict, q.Rule)
		default:
			a.Verdict, err = l.Read(q.Verdict)
		}
		if err != nil && !errors.As(err, &a.Failure) {
			a.Failure = &Failure{Text: err.Error()}
		}
		if err := writeValue(w, &a); err != nil {
			return err
		}
	}
}
