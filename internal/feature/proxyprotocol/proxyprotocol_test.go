package proxyprotocol

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/smtpserver"
	"exigo/internal/testkit"
)

const show = "$proxy_session|$proxy_local_address|$proxy_external_address|$proxy_external_port|$sender_host_address|$sender_host_port"

// services are those of a server that has the room, and whose ACL for connections shows the variables to the client.
func services(t *testing.T, text string) smtpserver.Services {
	t.Helper()
	world := testkit.NewWorld(t)
	f := Feature()
	path := filepath.Join(t.TempDir(), "configure")
	text = "primary_hostname = mx.test\nexim_user = root\ntls_advertise_hosts =\nacl_smtp_connect = x\n" + text
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(config.Request{Path: path, World: world.World, SkipChecks: true,
		Registry: &config.Registry{Sets: append(f.Options, config.MainOptions())}})
	if err != nil {
		t.Fatal(err)
	}
	words := builtin.Words()
	words.Variables = append(words.Variables, f.Variables...)
	engine, err := expand.New(world.World, words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return smtpserver.Services{
		World: world.World, Engine: engine, Config: c, Log: eventlog.Open(world.World, eventlog.Settings{Divert: func(eventlog.Stream, string, string) {}}),
		Accept: f.Accept,
		RunACL: func(_ context.Context, s *expand.Scope, _ acl.Phase, _ string) (acl.Outcome, error) {
			v, err := s.Engine.Expand(s, show)
			return acl.Outcome{Verdict: acl.Fail, UserMessage: v.S}, err
		},
		MatchHost: func(_ *expand.Scope, list, _ string, a netip.Addr) (bool, error) { return list == a.String(), nil },
	}
}

// connect sends the bytes to a server and returns the first line of its reply.
func connect(t *testing.T, svc smtpserver.Services, input string, end bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		smtpserver.New(svc, nil).Serve(context.Background(), server, smtpserver.Start{})
		close(done)
	}()
	io.WriteString(client, input)
	if end {
		client.(*net.TCPConn).CloseWrite()
	}
	line, _ := bufio.NewReader(client).ReadString('\n')
	client.Close()
	<-done
	port := client.LocalAddr().(*net.TCPAddr).Port
	return strings.ReplaceAll(strings.TrimSpace(line), "|127.0.0.1|"+itoa(port), "|127.0.0.1|PORT")
}

func itoa(n int) string {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(n)).String()[len("0.0.0.0:"):]
}

const (
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	inet      = "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\xd2\x00\x19"
)

func TestHeaders(t *testing.T) {
	svc := services(t, "hosts_proxy = 127.0.0.1")
	const real, own = "550 yes|127.0.0.1|198.51.100.2|25|192.0.2.1|1234", "550 yes|||0|127.0.0.1|PORT"
	for _, x := range []struct {
		name, input string
		end         bool
		want        string
	}{
		{"v1", "PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\r\n", false, real},
		{"v1 and more", "PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\r\nEHLO x\r\n", false, real},
		{"v1 IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 1234 25\r\n", false, "550 yes|127.0.0.1|2001:db8::2|25|2001:db8::1|1234"},
		{"v1 unknown", "PROXY UNKNOWN\r\n", false, own},
		{"v2", signature + "\x21\x11\x00\x0c" + inet, false, real},
		{"v2 TLV", signature + "\x21\x11\x00\x11" + inet + "\x04\x00\x02ab", false, real},
		{"v2 local", signature + "\x20\x11\x00\x0c" + inet, false, own},
		{"v2 mapped", signature + "\x21\x21\x00\x24" + strings.Repeat("\x00", 10) + "\xff\xff\xc0\x00\x02\x01" + strings.Repeat("\x00", 15) + "\x01\x04\xd2\x00\x19", false,
			"550 yes|127.0.0.1|::1|25|192.0.2.1|1234"},
		{"malformed", "PROXY TCP4 192.0.2.1 x 1234 25\r\n", false, own},
		{"command", "EHLO x\r\n", false, own},
		{"longer command", "EHLO client.example.with.a.long.name\r\n", false, own},
		{"endless", strings.Repeat("x", 5000), false, own},
		{"cut", "PROXY TCP4 192.0", true, own},
		{"nothing", "", true, own},
	} {
		if got := connect(t, svc, x.input, x.end); got != x.want {
			t.Errorf("%s: %q", x.name, got)
		}
	}
}

func TestOptions(t *testing.T) {
	const v1 = "PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\r\n"
	for text, want := range map[string]string{
		"":                          "550 no|||0|127.0.0.1|PORT",
		"hosts_proxy = 192.0.2.250": "550 no|||0|127.0.0.1|PORT",
		"proxy_required_hosts = 127.0.0.1\nproxy_protocol_timeout = 10s": "550 yes|127.0.0.1|198.51.100.2|25|192.0.2.1|1234",
	} {
		if got := connect(t, services(t, text), v1, false); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	// nobody waits for longer than the timeout
	if got := connect(t, services(t, "hosts_proxy = 127.0.0.1\nproxy_protocol_timeout = 0s"), "", false); got != "550 yes|||0|127.0.0.1|PORT" {
		t.Errorf("timeout: %q", got)
	}
}

// TestForgotten: what was found out about the proxy's name is not said of the client, and the tag needs its selector.
func TestForgotten(t *testing.T) {
	svc := services(t, "hosts_proxy = 127.0.0.1")
	noun := &mail.Session{}
	svc.MatchHost = func(s *expand.Scope, _, _ string, a netip.Addr) (bool, error) {
		s.Session.HostName, s.Session.HostAliases, s.Session.NameLookup, s.Session.NameSecure = "proxy.test", []string{"p"}, mail.NameFound, true
		noun = s.Session
		return true, nil
	}
	connect(t, svc, "PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\r\n", false)
	if noun.HostName != "" || noun.HostAliases != nil || noun.NameLookup != mail.NameNotTried || noun.NameSecure || noun.Host.String() != "192.0.2.1" {
		t.Errorf("%+v", noun)
	}
	with, err := eventlog.ParseSet("+proxy")
	if err != nil {
		t.Fatal(err)
	}
	without, _ := eventlog.ParseSet("")
	m := &mail.Message{Session: noun}
	if a, b, c := tag(m, with), tag(m, without), tag(&mail.Message{Session: &mail.Session{}}, with); a != "PRX=127.0.0.1" || b != "" || c != "" {
		t.Errorf("%q %q %q", a, b, c)
	}
}
