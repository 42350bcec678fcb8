package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"exigo/internal/outside"
	"exigo/internal/proto/dns"
	"exigo/internal/testkit"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"
)

const zone = `
$ORIGIN example.
$TTL 300
@       SOA  ns root 1 2 3 4 60
a       A    192.0.2.1
a       MX   10 mail.example.
a       TXT  "one;two" "back\\slash" "quo\"te"
www     CNAME a
chain1  CNAME chain2
chain2  CNAME chain3
chain3  A    192.0.2.3
loop1   CNAME loop2
loop2   CNAME loop1
out     CNAME elsewhere.test.
sub.dom A    192.0.2.9
$ORIGIN test.
elsewhere A 192.0.2.4
`

// setup starts a server and a resolver that asks it alone.
func setup(t *testing.T, z *testkit.Zones, conf string) (*dns.Resolver, *testkit.DNSServer, *testkit.Clock) {
	t.Helper()
	server := testkit.NewDNSServer(t, z)
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver 127.0.0.1\n"+conf), 0o600); err != nil {
		t.Fatal(err)
	}
	r := dns.New(file)
	clock := testkit.NewClock(testkit.Epoch())
	r.Now = clock.Now
	r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Address.String())
	}
	return r, server, clock
}

func show(a dns.Answer, err error) string {
	var data []string
	for _, rr := range a.Records {
		data = append(data, outside.FromRR(rr).Data)
	}
	text := a.Canonical + " " + strings.Join(data, ",")
	if a.Secure {
		text += " secure"
	}
	if err != nil {
		text += "! " + err.Error()
	}
	return text
}

func TestLookup(t *testing.T) {
	z := testkit.NewZones(t, zone).Fail("broken.example", outside.ErrTryAgain).Fail("no.example", outside.ErrRefused).Secure("test")
	r, server, _ := setup(t, z, "search dom.example example\noptions timeout:1 attempts:1\n")
	none, nodata, again, refused := "! host not found", "! no data", "! DNS lookup: temporary failure, try again", "! DNS lookup: non-recoverable failure"
	for _, c := range []struct {
		q    dns.Question
		want string
	}{
		{dns.Question{Name: "A.Example"}, "a.example 192.0.2.1"},
		{dns.Question{Name: "a.example", Type: mdns.TypeMX}, "a.example mail.example"},
		{dns.Question{Name: "a.example", Type: mdns.TypeTXT}, `a.example one;twoback\slashquo"te`},
		{dns.Question{Name: "www.example"}, "a.example 192.0.2.1"},
		{dns.Question{Name: "www.example", Type: mdns.TypeMX}, "a.example mail.example"},
		{dns.Question{Name: "www.example", Type: mdns.TypeCNAME}, "www.example a.example"},
		{dns.Question{Name: "chain1.example"}, "chain3.example 192.0.2.3"},
		{dns.Question{Name: "out.example"}, "elsewhere.test 192.0.2.4 secure"},
		{dns.Question{Name: "a.example", Type: mdns.TypeAAAA}, "a.example " + nodata},
		{dns.Question{Name: "nothing.example"}, "nothing.example " + none},
		{dns.Question{Name: "x.broken.example"}, "x.broken.example " + again},
		{dns.Question{Name: "no.example"}, "no.example " + refused},
		{dns.Question{Name: "a"}, "a " + none},
		{dns.Question{Name: "a", Qualify: true}, "a " + none},
		{dns.Question{Name: "sub", Qualify: true}, "sub.dom.example 192.0.2.9"},
		{dns.Question{Name: "a", Qualify: true, Search: true}, "a.example 192.0.2.1"},
		{dns.Question{Name: "sub.dom", Search: true}, "sub.dom.example 192.0.2.9"},
		{dns.Question{Name: "sub.dom.", Search: true}, "sub.dom " + none},
		{dns.Question{Name: strings.Repeat("x", 64) + ".example"}, strings.Repeat("x", 64) + ".example " + refused},
		{dns.Question{Name: "a..example"}, "a..example " + refused},
		{dns.Question{Name: `we"ird na(me.example`}, `we"ird\ na(me.example ` + none},
	} {
		if c.q.Type == 0 {
			c.q.Type = mdns.TypeA
		}
		got := show(r.Lookup(t.Context(), c.q))
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%+v: %s", c.q, d)
		}
		before := server.Queries()
		if again := show(r.Lookup(t.Context(), c.q)); again != got {
			t.Errorf("%+v: then %q", c.q, again)
		}
		if server.Queries() != before {
			t.Errorf("%+v: asked again", c.q)
		}
	}
	if _, err := r.Lookup(t.Context(), dns.Question{Name: "loop1.example", Type: mdns.TypeA}); !errors.Is(err, dns.ErrNoData) {
		t.Errorf("loop: %v", err)
	}
}

func TestCacheExpires(t *testing.T) {
	r, server, clock := setup(t, testkit.NewZones(t, zone).Fail("broken.example", outside.ErrTryAgain), "options timeout:1 attempts:1\n")
	server.Alter(func(m *mdns.Msg, _ bool) *mdns.Msg {
		if len(m.Answer) == 0 && m.Rcode != mdns.RcodeServerFailure {
			soa, _ := mdns.NewRR("example. 300 SOA ns. root. 1 2 3 4 60")
			m.Ns = append(m.Ns, soa)
		}
		return m
	})
	for _, c := range []struct {
		name string
		ttl  time.Duration
	}{{"a.example", 300 * time.Second}, {"none.example", time.Minute}, {"broken.example", 5 * time.Second}} {
		ask := func() int {
			before := server.Queries()
			r.Lookup(t.Context(), dns.Question{Name: c.name, Type: mdns.TypeA})
			return server.Queries() - before
		}
		if n := ask(); n != 1 {
			t.Errorf("%s: %d queries", c.name, n)
		}
		clock.Advance(c.ttl - time.Second)
		if n := ask(); n != 0 {
			t.Errorf("%s: %d queries before the end of its life", c.name, n)
		}
		clock.Advance(time.Second)
		if n := ask(); n != 1 {
			t.Errorf("%s: %d queries after the end of its life", c.name, n)
		}
	}
}

func TestTruncationAndForgery(t *testing.T) {
	z := testkit.NewZones(t, zone)
	for i := range 200 {
		z.Add(fmt.Sprintf("many.example. A 10.0.%d.%d\n", i/100, i%100))
	}
	r, server, _ := setup(t, z, "options timeout:1 attempts:2\n")
	server.TruncateOver(1232)
	a, err := r.Lookup(t.Context(), dns.Question{Name: "many.example", Type: mdns.TypeA})
	if err != nil || len(a.Records) != 200 || server.Queries() != 2 {
		t.Errorf("%d records after %d queries: %v", len(a.Records), server.Queries(), err)
	}
	r.Configure(dns.Options{Retrans: 50 * time.Millisecond, Retry: 2, EDNS0: 1, DNSSEC: 1, CNAMELoops: 1})
	server.Alter(func(m *mdns.Msg, _ bool) *mdns.Msg { m.Id++; return m })
	if _, err := r.Lookup(t.Context(), dns.Question{Name: "a.example", Type: mdns.TypeA}); !errors.Is(err, dns.ErrTryAgain) {
		t.Errorf("a reply with another id: %v", err)
	}
	server.Alter(func(m *mdns.Msg, _ bool) *mdns.Msg { m.Question[0].Name = "b.example."; return m })
	if _, err := r.Lookup(t.Context(), dns.Question{Name: "www.example", Type: mdns.TypeA}); !errors.Is(err, dns.ErrTryAgain) {
		t.Errorf("a reply to another question: %v", err)
	}
}

// A server that knows no EDNS0 is asked without it.
func TestWithoutEDNS(t *testing.T) {
	r, server, _ := setup(t, testkit.NewZones(t, zone), "options timeout:1 attempts:2\n")
	first := true
	server.Alter(func(m *mdns.Msg, _ bool) *mdns.Msg {
		if first {
			first = false
			m.Rcode, m.Answer = mdns.RcodeFormatError, nil
		}
		return m
	})
	if got := show(r.Lookup(t.Context(), dns.Question{Name: "a.example", Type: mdns.TypeA})); got != "a.example 192.0.2.1" {
		t.Error(got)
	}
}

func TestConcurrentQuestionsAreOne(t *testing.T) {
	r, server, _ := setup(t, testkit.NewZones(t, zone), "")
	release := make(chan struct{})
	server.Alter(func(m *mdns.Msg, _ bool) *mdns.Msg { <-release; return m })
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if _, err := r.Lookup(t.Context(), dns.Question{Name: "a.example", Type: mdns.TypeA}); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	group.Go(func() {
		if _, err := r.Lookup(ctx, dns.Question{Name: "a.example", Type: mdns.TypeA}); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	cancel()
	close(release)
	group.Wait()
	if server.Queries() != 1 {
		t.Errorf("%d queries", server.Queries())
	}
}

func TestParseSystem(t *testing.T) {
	s := dns.ParseSystem(strings.NewReader("# c\nnameserver 192.0.2.1\nnameserver bad\nnameserver fe80::1%eth0\nsearch A.example. b\noptions ndots:3 timeout:99 attempts:0 rotate x:y\n"))
	if len(s.Servers) != 2 || s.Servers[1].Addr().Zone() != "eth0" || s.Ndots != 3 || s.Timeout != 30*time.Second || s.Attempts != 1 || !s.Rotate {
		t.Errorf("%+v", s)
	}
	if d := cmp.Diff([]string{"a.example", "b"}, s.Search); d != "" {
		t.Error(d)
	}
	if s := dns.ParseSystem(strings.NewReader("")); s.Servers[0].String() != "127.0.0.1:53" {
		t.Errorf("%+v", s)
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"a.b.", `a\.b.c.`, `\000\255x.`, `\`, `\9`, `\999`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n\x00") {
			return // the DNS library never gives such names
		}
		if n := dns.Name(s); strings.ContainsAny(n, "\r\n\x00") {
			t.Errorf("%q: %q", s, n)
		}
		dns.Text(s)
	})
}

func FuzzParseSystem(f *testing.F) {
	f.Add("nameserver 1.2.3.4\noptions ndots:2")
	f.Fuzz(func(t *testing.T, s string) {
		if len(dns.ParseSystem(strings.NewReader(s)).Servers) == 0 {
			t.Error("no server")
		}
	})
}
