package submit

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
)

// ErrNoDaemon says that nobody answers on the socket: the caller leaves the message in the drop directory.
var ErrNoDaemon = errors.New("no daemon is running")

// Remote has the daemon do a call: it sends the arguments and the standard input, copies what comes back to the two outputs, and
// returns the exit status. The error is ErrNoDaemon when nothing has been sent, or that of a connection that broke.
func Remote(path string, argv []string, stdin io.Reader, stdout, stderr io.Writer) (status int, err error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return 1, ErrNoDaemon
	}
	defer c.Close()
	facts, err := json.Marshal(callFacts{Argv: argv})
	if err != nil {
		return 1, err
	}
	if len(facts) > maxArguments {
		return 1, errors.New("argument list too long")
	}
	var mu sync.Mutex
	if err := writeFrame(c, frameArguments, facts); err != nil {
		return 1, err
	}
	go func() {
		// Errors show in the answer: a server that has heard enough closes the connection.
		if _, err := io.Copy(&frameWriter{mu: &mu, w: c, kind: frameInput}, stdin); err == nil {
			mu.Lock()
			defer mu.Unlock()
			writeFrame(c, frameInputEnd, nil)
		}
	}()
	return answers(bufio.NewReader(c), stdout, stderr)
}

// answers copies the server's frames until the exit status.
func answers(r io.Reader, stdout, stderr io.Writer) (int, error) {
	for {
		kind, length, err := readHeader(r, maxFrame)
		if err != nil {
			return 1, unexpected(err)
		}
		body := io.LimitReader(r, int64(length))
		switch kind {
		case frameOutput:
			_, err = io.Copy(stdout, body)
		case frameError:
			_, err = io.Copy(stderr, body)
		case frameExit:
			var b [1]byte
			if _, err := io.ReadFull(body, b[:]); err != nil {
				return 1, unexpected(err)
			}
			return int(b[0]), nil
		default:
			err = ErrProtocol
		}
		if err != nil {
			return 1, err
		}
	}
}
