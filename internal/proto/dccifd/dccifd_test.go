package dccifd_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"

	"exigo/internal/proto/dccifd"
	"exigo/internal/proto/dccifd/dccifdtest"
)

func TestWriteRequest(t *testing.T) {
	rcpt := func(texts ...string) (out []dccifd.Recipient) {
		for _, text := range texts {
			address, user, _ := strings.Cut(text, "|")
			out = append(out, dccifd.Recipient{Address: address, User: user})
		}
		return out
	}
	for _, c := range []struct {
		r    dccifd.Request
		want string
	}{
		{dccifd.Request{Options: "header", Client: "192.0.2.1", HELO: "mx.a.example", Sender: "a@a.example", Recipients: rcpt("b@b.example", "c@b.example")},
			"header\n192.0.2.1\nmx.a.example\na@a.example\nb@b.example\nc@b.example\n\n"},
		{dccifd.Request{Client: "2001:db8::1", Name: "mx.a.example", Recipients: rcpt("b@b.example|bee")},
			"\n2001:db8::1\rmx.a.example\n\n\nb@b.example\rbee\n\n"},
		{dccifd.Request{Options: "header\nspam", Client: "192.0.2.1", Name: "a\r\nb", HELO: "x\n\ny\x00", Sender: "a\r@b", Recipients: rcpt("\r\n", "b\n@c")},
			"headerspam\n192.0.2.1\rab\nxy\na@b\nb@c\n\n"},
	} {
		var b bytes.Buffer
		if err := dccifd.WriteRequest(&b, &c.r); err != nil || b.String() != c.want {
			t.Errorf("%+v: %q, %v, want %q", c.r, b.String(), err, c.want)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	long := strings.Repeat("x", dccifd.MaxHeader+100)
	for _, c := range []struct {
		in   string
		want dccifd.Answer
		err  error
	}{
		{"A\nA\nX-DCC-b-Metrics: h 1; Body=1\n", dccifd.Answer{Result: 'A', Recipients: "A", Header: "X-DCC-b-Metrics: h 1; Body=1"}, nil},
		{"S\nAR\nX-DCC-b-Metrics: h 1; bulk\n\tBody=many\n\n", dccifd.Answer{Result: 'S', Recipients: "AR", Header: "X-DCC-b-Metrics: h 1; bulk\n\tBody=many"}, nil},
		{"R\r\nRR\r\nX-DCC: a\r\n", dccifd.Answer{Result: 'R', Recipients: "RR", Header: "X-DCC: a"}, nil},
		{"G\n\n", dccifd.Answer{Result: 'G'}, nil},
		{"T\nG\n" + long, dccifd.Answer{Result: 'T', Recipients: "G", Header: long[:dccifd.MaxHeader]}, nil},
		{"X\nA\n", dccifd.Answer{}, dccifd.ErrProtocol},
		{"AA\nA\n", dccifd.Answer{}, dccifd.ErrProtocol},
		{"\nA\n", dccifd.Answer{}, dccifd.ErrProtocol},
		{"", dccifd.Answer{}, io.ErrUnexpectedEOF},
		{"A", dccifd.Answer{}, io.ErrUnexpectedEOF},
		{"A\nA", dccifd.Answer{Result: 'A'}, io.ErrUnexpectedEOF},
		{"A\n" + strings.Repeat("A", dccifd.MaxLine+1), dccifd.Answer{Result: 'A'}, dccifd.ErrProtocol},
	} {
		got, err := dccifd.ReadAnswer(bufio.NewReader(strings.NewReader(c.in)))
		if !errors.Is(err, c.err) || got != c.want {
			t.Errorf("%.40q: %+v, %v", c.in, got, err)
		}
	}
}

// TestAsk asks the double over both kinds of sockets.
func TestAsk(t *testing.T) {
	for network, address := range map[string]string{"unix": t.TempDir() + "/dccifd", "tcp": "127.0.0.1:0"} {
		answer := "A\nA\nX-DCC-double-Metrics: mx.example 1480; Body=1\n"
		s := dccifdtest.New(t, network, address, func(*dccifdtest.Request) string { return answer })
		ask := func(ctx context.Context) (dccifd.Answer, error) {
			c, err := net.Dial(network, s.Address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			r := &dccifd.Request{Options: "header", Client: "192.0.2.1", HELO: "h", Recipients: []dccifd.Recipient{{Address: "b@b.example"}}}
			return dccifd.Ask(ctx, c, r, strings.NewReader("Subject: x\n\n.\nbody\n"))
		}
		got, err := ask(context.Background())
		if want := (dccifd.Answer{Result: 'A', Recipients: "A", Header: dccifdtest.Header("Body=1")}); err != nil || got != want {
			t.Errorf("%s: %+v, %v", network, got, err)
		}
		want := &dccifdtest.Request{Request: dccifd.Request{Options: "header", Client: "192.0.2.1", HELO: "h", Recipients: []dccifd.Recipient{{Address: "b@b.example"}}},
			Message: "Subject: x\n\n.\nbody\n"}
		if q := s.Requests(); len(q) != 1 || !reflect.DeepEqual(q[0], want) {
			t.Errorf("%s: the double read %+v", network, q)
		}
		answer = "" // hangs up
		if _, err := ask(context.Background()); err == nil {
			t.Errorf("%s: an answer without words was taken", network)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := ask(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: after the end: %v", network, err)
		}
	}
}

// A connection that cannot be closed by halves is an error, but an answer that comes all the same counts.
func TestWithoutHalves(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() {
		r := bufio.NewReader(theirs)
		r.ReadString('\n')
		go io.WriteString(theirs, "R\nR\nX-DCC: no\n")
		r.ReadString('\n')
		io.CopyN(io.Discard, r, 1000)
	}()
	got, err := dccifd.Ask(context.Background(), &closing{Conn: ours}, &dccifd.Request{}, strings.NewReader(""))
	if err != nil || got.Result != 'R' {
		t.Errorf("%+v, %v", got, err)
	}
}

// closing is a connection whose reading side ends after the header.
type closing struct {
	net.Conn
	got bytes.Buffer
}

func (c *closing) Read(p []byte) (int, error) {
	if bytes.HasSuffix(c.got.Bytes(), []byte("no\n")) {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p)
	c.got.Write(p[:n])
	return n, err
}

// FuzzReadAnswer: whatever comes is an answer within bounds or an error.
func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("A\nAA\nX-DCC-b-Metrics: h 1; Body=1\n"))
	f.Add([]byte("S\r\n\r\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := dccifd.ReadAnswer(bufio.NewReader(bytes.NewReader(data)))
		if err == nil && (!strings.ContainsRune("AGRST", rune(a.Result)) || len(a.Header) > dccifd.MaxHeader || strings.ContainsAny(a.Header, "\r\x00")) {
			t.Fatalf("%+v", a)
		}
	})
}

// FuzzRequest: what was written is read back, and hostile values make no lines of their own.
func FuzzRequest(f *testing.F) {
	f.Add("header", "192.0.2.1", "mx", "h", "a@b", "c@d", "u", "m\n")
	f.Add("", "\r", "\n", "", "", "\n\n", "\r\r", "")
	f.Fuzz(func(t *testing.T, options, client, name, helo, sender, rcpt, user, message string) {
		r := dccifd.Request{Options: options, Client: client, Name: name, HELO: helo, Sender: sender, Recipients: []dccifd.Recipient{{Address: rcpt, User: user}}}
		var b bytes.Buffer
		dccifd.WriteRequest(&b, &r)
		b.WriteString(message)
		in := bufio.NewReader(&b)
		got, err := dccifd.ReadRequest(in, 1<<20)
		if err != nil || len(got.Recipients) > 1 {
			t.Fatalf("%q: %+v, %v", r, got, err)
		}
		if rest, _ := io.ReadAll(in); string(rest) != message {
			t.Fatalf("%q: the message became %q", r, rest)
		}
	})
}
