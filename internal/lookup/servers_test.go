package lookup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"exigo/internal/outside"
)

func TestParseServer(t *testing.T) {
	for in, want := range map[string]Server{
		"h/d/u/p": {Host: "h", Database: "d", User: "u", Password: "p"}, "h:3307/d/u/": {Host: "h", Port: "3307", Database: "d", User: "u"}, "//u/p": {User: "u", Password: "p"},
		"(/run/x.sock)/d/u/p": {Socket: "/run/x.sock", Database: "d", User: "u", Password: "p"}, "h:1(/s)[g]/d/u/p": {Host: "h", Port: "1", Socket: "/s", Group: "g", Database: "d", User: "u", Password: "p"},
		"[g]/d/u/p": {Group: "g", Database: "d", User: "u", Password: "p"}, "[2001:db8::1]:3306[g]/d/u/p": {Host: "2001:db8::1", Port: "3306", Group: "g", Database: "d", User: "u", Password: "p"},
		"[::1]/d/u/p": {Host: "::1", Database: "d", User: "u", Password: "p"}, "2001:db8::1/d/u/p": {Host: "2001:db8::1", Database: "d", User: "u", Password: "p"}, "(/s/d/u/p": {Socket: "/s", Database: "d", User: "u", Password: "p"},
	} {
		if got, err := ParseServer(in, "X"); got != want || err != nil {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{"": "incomplete X server data: ", "h": "incomplete X server data: h", "h/p": "incomplete X server data: h", "h/d/p": "incomplete X server data: h", "a/b/c/d/e": "unexpected slash in X server hostname: a/b"} {
		if _, err := ParseServer(in, "X"); err == nil || err.Error() != want {
			t.Errorf("%s: %v", in, err)
		}
	}
	for in, want := range map[string]string{"h": "h|", "h:1": "h|1", ":1": "|1", "[::1]:1": "::1|1", "[::1]": "::1|", "::1": "::1|", "": "|", "[x": "[x|"} {
		if host, port := HostPort(in); host+"|"+port != want {
			t.Errorf("%s: %s, %s", in, host, port)
		}
	}
	if p, err := ParsePort("", 25); p != 25 || err != nil {
		t.Error(p, err)
	}
	if _, err := ParsePort("65536", 25); err == nil {
		t.Error("a port that is none")
	}
}

func FuzzParseServer(f *testing.F) {
	f.Add("[::1]:3306(/s)[g]/d/u/p")
	f.Fuzz(func(t *testing.T, item string) { ParseServer(item, "X"); ConcealServers(item); ConcealQuery(item) })
}

func TestConceal(t *testing.T) {
	for in, want := range map[string]string{
		"servers=h/d/u/secret:i/d/u/secret; select '/x'": "servers=h/d/u/***:i/d/u/***; select '/x'", "servers=<; h:1/d/u/secret": "servers=<;***", "servers=<, h:1/d/u/secret , i/d/u/x;y": "servers=<, h:1/d/u/***, i/d/u/***;y", "servers=master; x": "servers=master; x",
		"select 'a/b'": "select 'a/b'", "servers=h/d/u/;x/y": "servers=h/d/u/;x/y", "servers=": "servers=",
	} {
		if got := ConcealQuery(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	if d := (&Driver{}); d.Shown("x") != "x" {
		t.Error("a query without secrets is not shown")
	}
}

func TestEach(t *testing.T) {
	v := Servers{Name: "X", Option: "x_servers"}
	const main = "a/d/u/p : b::1/d/u/p : (/s)/d/u/p : bare"
	for _, c := range []struct {
		options, query string
		tainted, bare  bool
		servers, want  string
	}{
		{query: "q", servers: main, want: "a/d/u/p b:1/d/u/p (/s)/d/u/p; X server \"bare\" not found in x_servers"}, {query: "q", servers: "bare", bare: true, want: "bare ; down bare"},
		{options: "servers=b::1", query: "q", servers: main, want: "b:1/d/u/p ; down b:1/d/u/p"}, {options: "servers=(/s):c/d/u/p", query: "q", servers: main, want: "(/s)/d/u/p c/d/u/p ; down c/d/u/p"},
		{query: "servers=a ; q", servers: main, want: "a/d/u/p ; down a/d/u/p"}, {query: "servers=a ; q", tainted: true, servers: main, want: "; X server \"a\" is tainted"},
		{query: "servers=a/d/u/p;q", tainted: true, want: "; X server \"a/d/u/***\" is tainted"}, {options: "servers=a", query: "q", tainted: true, servers: main, want: "a/d/u/p ; down a/d/u/p"},
		{query: "q", want: "; no X servers defined (x_servers option)"}, {query: "servers=;q", servers: main, want: "; \"servers=\" defines no servers in \"servers=;q\""}, {query: "servers=a q", want: "; missing ; after \"servers=\" in X lookup"},
		{options: "servers=fatal/:a/d/u/p", query: "q", want: "fatal/ ; serious"},
	} {
		v.Bare = c.bare
		asked := ""
		_, _, err := v.Each(&Request{Key: c.query, KeyTainted: c.tainted, Options: []string{"x", c.options}}, c.servers, func(server, query string) (Result, bool, error) {
			asked += server + " "
			if query != "q" {
				t.Errorf("the query is %q", query)
			}
			if strings.HasPrefix(server, "fatal") {
				return Result{}, false, errors.New("serious")
			}
			return Result{}, false, Defer("down " + server)
		})
		got := strings.TrimSuffix(asked+"; "+strings.TrimSuffix(fmt.Sprint(err), ": "+ErrDefer.Error()), " ")
		if got != c.want && got != strings.Replace(c.want, "; X", " ; X", 1) || !errors.Is(err, ErrDefer) {
			t.Errorf("%+v:\n got %s", c, got)
		}
	}
	result, found, err := v.Each(&Request{Key: "q"}, main, func(server, _ string) (Result, bool, error) {
		if server[0] == 'a' {
			return Result{}, false, Defer("down")
		}
		return Result{Data: server}, true, nil
	})
	if result.Data != "b:1/d/u/p" || !found || err != nil {
		t.Error(result, found, err)
	}
}

// twoAddresses is a DNS that knows an IPv6 address and one of IPv4 for each name, and a network in which nobody answers at the former.
type twoAddresses struct{ shares *[]time.Duration }

func (twoAddresses) Lookup(_ context.Context, q outside.Question) (outside.Answer, error) {
	data := map[outside.RRType]string{outside.TypeAAAA: "2001:db8::1", outside.TypeA: "192.0.2.1"}[q.Type]
	return outside.Answer{Records: []outside.Record{{Type: q.Type, Data: data}}}, nil
}

func (d twoAddresses) Dial(ctx context.Context, _ string, _ netip.Addr, address string) (net.Conn, error) {
	end, _ := ctx.Deadline()
	*d.shares = append(*d.shares, time.Until(end).Round(time.Minute))
	if address == "192.0.2.1:5" {
		return nil, syscall.ECONNREFUSED
	}
	return nil, context.DeadlineExceeded
}

// TestDial: an address at which nobody answers leaves time for the others.
func TestDial(t *testing.T) {
	var shares []time.Duration
	d := twoAddresses{&shares}
	w := &outside.World{DNS: d, Dial: d}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, at, err := Dial(ctx, w, "h.example", 5); err != syscall.ECONNREFUSED || at.String() != "192.0.2.1" || fmt.Sprint(shares) != "[30m0s 1h0m0s]" {
		t.Error(at, err, shares)
	}
	if _, _, err := Dial(ctx, w, "2001:db8::1", 5); err != context.DeadlineExceeded || shares[2] != time.Hour {
		t.Error(err, shares)
	}
}

type closer chan string

func (c closer) Close() error { c <- "closed"; return nil }

var _ io.Closer = closer(nil)

func TestConnections(t *testing.T) {
	var p Connections[closer]
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	a, b := make(closer, 1), make(closer, 1)
	p.Keep("x", a, at(0))
	p.Keep("x", b, at(1))
	if _, ok := p.Take("y", at(2)); ok {
		t.Error("another key's connection")
	}
	if got, ok := p.Take("x", at(2)); !ok || got != b {
		t.Error("not the one that was used last")
	}
	if _, ok := p.Take("x", at(100)); ok || <-a != "closed" {
		t.Error("one that was idle for too long")
	}
	for range maxIdle + 1 {
		p.Keep("x", b, at(100))
	}
	if <-b != "closed" || len(p.idle) != maxIdle {
		t.Error("too many are kept:", len(p.idle))
	}
	go p.Close()
	for range maxIdle {
		<-b
	}
}
