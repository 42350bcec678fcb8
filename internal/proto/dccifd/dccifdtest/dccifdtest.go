// Package dccifdtest is a double of dccifd for tests: it reads requests as dccifd(8) describes them and answers as it is told.
//
// Trust: for tests only.
package dccifdtest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"exigo/internal/proto/dccifd"
)

// Request is what a client sent.
type Request struct {
	dccifd.Request
	// Message is everything behind the empty line.
	Message string
}

// Server is the double.
type Server struct {
	// Address is where it listens: a path, or "IP:port".
	Address string
	// Answer gives the whole answer to a request; "" closes the connection without a word.
	Answer func(q *Request) string

	mutex    sync.Mutex
	requests []*Request
}

// Header is an X-DCC header such as dccifd makes, for a result as "bulk Body=many" behind the host's number.
func Header(result string) string {
	return "X-DCC-double-Metrics: mx.example 1480; " + result
}

// New starts a double on a socket: network "unix" with a path, or "tcp" with "127.0.0.1:0". It ends with the test.
func New(t testing.TB, network, address string, answer func(q *Request) string) *Server {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: l.Addr().String(), Answer: answer}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); sessions.Wait() })
	return s
}

// serve answers one request. A greeting that is no request is hung up on.
func (s *Server) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	q, err := dccifd.ReadRequest(r, 1<<20)
	if err != nil {
		return
	}
	message, err := io.ReadAll(r)
	if err != nil {
		return
	}
	request := &Request{Request: *q, Message: string(message)}
	s.mutex.Lock()
	s.requests = append(s.requests, request)
	s.mutex.Unlock()
	io.WriteString(c, s.Answer(request))
}

// Requests returns what came so far.
func (s *Server) Requests() []*Request {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return append([]*Request(nil), s.requests...)
}

// Reply makes an answer: the result, one for each recipient, and a header field, which is left out when the options do not ask for it
// ("header", or "cksums", where the checksums are left out).
func Reply(q *Request, result string, each byte, header string) string {
	text := result + "\n" + strings.Repeat(string(each), len(q.Recipients)) + "\n"
	for _, word := range strings.Fields(q.Options) {
		if word == "header" || word == "cksums" {
			return text + header + "\n"
		}
	}
	return text
}
