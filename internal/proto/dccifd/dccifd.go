// Package dccifd speaks the protocol of dccifd, the daemon of the Distributed Checksum Clearinghouses (dccifd(8), section "PROTOCOL"): a
// client sends lines of envelope data and the message, closes its half of the connection, and reads the verdict.
//
//	client: options            "header log"
//	        client             "192.0.2.1", or with its name behind a CR
//	        HELO name
//	        envelope sender    may be empty
//	        recipients         one a line, each may have a local user's name behind a CR
//	        empty line
//	        message            header, empty line and body as they are, up to the end of the stream
//	server: overall result     one of A G R S T
//	        recipients         a character for each: A, G or R
//	        X-DCC header       with the option "header"; it may be folded
//
// Trust: addresses, names and message are outsiders', and no line end or NUL in them reaches the stream as a line of its own; the answer
// comes from a daemon of the site, over a socket that may be somebody else's by mistake, and is bounded.
package dccifd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Result is the first line of an answer.
type Result byte

// The results that dccifd gives.
const (
	Accept  Result = 'A' // for all recipients
	Grey    Result = 'G' // greylisted: a temporary refusal
	Reject  Result = 'R' // by all recipients
	Some    Result = 'S' // accepted for some recipients, rejected by others
	Trouble Result = 'T' // a temporary failure
)

// Recipient is an envelope recipient.
type Recipient struct {
	Address string
	// User is the local user whose whitelist and log are meant, "" for none.
	User string
}

// Request is what is told beside the message.
type Request struct {
	// Options are words such as "header", "cksums", "grey-off", "log", "spam", "rcvd-next", separated by spaces.
	Options string
	// Client is the address of the SMTP client, Name its name if that is known.
	Client, Name string
	HELO         string
	// Sender is the envelope sender, "" for the null one.
	Sender     string
	Recipients []Recipient
}

// Answer is what dccifd says.
type Answer struct {
	Result Result
	// Recipients has a character for each recipient: A, G or R.
	Recipients string
	// Header is the X-DCC header field without its last line end, LF within; "" when it was not asked for. With the option "body" it is
	// the whole message, as far as MaxHeader goes.
	Header string
}

// Bounds of what is read: a line of the answer, and the header field.
const (
	MaxLine   = 64 << 10 // a character for each recipient
	MaxHeader = 4 << 10
)

// ErrProtocol is an answer that is none.
var ErrProtocol = errors.New("dccifd: malformed answer")

// Ask sends a request and the message, which is read up to its end, and returns the answer. The connection is of no further use: it is
// not closed here. When ctx ends, so does the wait, with ctx's error.
func Ask(ctx context.Context, c net.Conn, r *Request, message io.Reader) (Answer, error) {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	answer, err := ask(c, r, message)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return answer, err
}

func ask(c net.Conn, r *Request, message io.Reader) (Answer, error) {
	sendErr := send(c, r, message)
	// A daemon that has made up its mind early may close its half: what it said still counts.
	answer, err := ReadAnswer(bufio.NewReader(c))
	if err != nil && sendErr != nil {
		return Answer{}, sendErr
	}
	return answer, err
}

// send writes everything and closes this half of the connection.
func send(c net.Conn, r *Request, message io.Reader) error {
	w := bufio.NewWriter(c)
	if err := WriteRequest(w, r); err != nil {
		return err
	}
	if _, err := io.Copy(w, message); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return fmt.Errorf("dccifd: a %T cannot be closed by halves", c)
}

// WriteRequest writes the lines before the message. Line ends and NULs within the values are left out; recipients that are empty then
// too, as an empty line ends the list.
func WriteRequest(w io.Writer, r *Request) error {
	var b strings.Builder
	line := func(text, more string) {
		b.WriteString(clean(text))
		if more = clean(more); more != "" {
			b.WriteString("\r" + more)
		}
		b.WriteByte('\n')
	}
	line(r.Options, "")
	line(r.Client, r.Name)
	line(r.HELO, "")
	line(r.Sender, "")
	for _, rcpt := range r.Recipients {
		if clean(rcpt.Address) != "" {
			line(rcpt.Address, rcpt.User)
		}
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// clean takes out what would end a line or a string.
func clean(text string) string {
	if !strings.ContainsAny(text, "\r\n\x00") {
		return text
	}
	return strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(text)
}

// ReadAnswer reads an answer up to the end of the stream, or up to MaxHeader bytes of header. A result that is no known letter is an
// ErrProtocol.
func ReadAnswer(r *bufio.Reader) (Answer, error) {
	var a Answer
	first, err := readLine(r, MaxLine)
	if err != nil {
		return a, err
	}
	if first = strings.TrimSuffix(first, "\r"); len(first) != 1 || !strings.Contains("AGRST", first) {
		return a, fmt.Errorf("%w: result %.20q", ErrProtocol, first)
	}
	a.Result = Result(first[0])
	if a.Recipients, err = readLine(r, MaxLine); err != nil {
		return a, err
	}
	a.Recipients = strings.TrimSuffix(a.Recipients, "\r")
	header, err := io.ReadAll(io.LimitReader(r, MaxHeader))
	if err != nil {
		return a, err
	}
	a.Header = strings.TrimRight(strings.NewReplacer("\r", "", "\x00", "").Replace(string(header)), "\n")
	return a, nil
}

// readLine reads a line of at most limit bytes, without its end.
func readLine(r *bufio.Reader, limit int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return "", fmt.Errorf("%w: line too long", ErrProtocol)
		}
		line = append(line, part...)
		switch err {
		case nil:
			return string(line[:len(line)-1]), nil
		case bufio.ErrBufferFull:
		case io.EOF:
			return "", io.ErrUnexpectedEOF
		default:
			return "", err
		}
	}
}

// ReadRequest reads the lines before the message, as dccifd does; the message follows in r. The lists are bounded by limit bytes.
func ReadRequest(r *bufio.Reader, limit int) (*Request, error) {
	q := &Request{}
	var lines []string
	for total := 0; ; {
		line, err := readLine(r, limit-total)
		if err != nil {
			return nil, err
		}
		if line == "" && len(lines) >= 4 { // the fourth, the sender, may be empty
			break
		}
		lines = append(lines, line)
		total += len(line) + 1
	}
	q.Options = lines[0]
	q.Client, q.Name, _ = strings.Cut(lines[1], "\r")
	q.HELO, q.Sender = lines[2], lines[3]
	for _, line := range lines[4:] {
		var rcpt Recipient
		rcpt.Address, rcpt.User, _ = strings.Cut(line, "\r")
		q.Recipients = append(q.Recipients, rcpt)
	}
	return q, nil
}
