package resumption

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/testkit"
	"exigo/internal/tlspolicy"
)

// configuration answers for the main options.
type configuration struct {
	expand.Configuration
	bag option.Bag
}

func (c configuration) MainOptions() option.Bag { return c.bag }

// shake makes one connection and returns the bits of $tls_in_resumption and whether the client's session was resumed.
func shake(t *testing.T, room *tickets, s *expand.Scope, client *tls.Config, cert tls.Certificate) (int, bool) {
	t.Helper()
	h := &tlspolicy.Handshake{Server: true, Config: &tls.Config{SessionTicketsDisabled: true, Certificates: []tls.Certificate{cert}, Time: s.Engine.World.Clock.Now}}
	if err := room.server(s, h); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", t.TempDir()+"/s") // both ends of crypto/tls write before they read: net.Pipe would not do
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	server := tls.Server(b, h.Config)
	done := make(chan error, 1)
	go func() {
		_, err := server.Write([]byte("x")) // brings the tickets of TLS 1.3 along
		done <- err
	}()
	c := tls.Client(a, client)
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	info := &mail.TLS{}
	if err := finished(s, h, server.ConnectionState(), info); err != nil {
		t.Fatal(err)
	}
	return info.Resumption, c.ConnectionState().DidResume
}

func TestServer(t *testing.T) {
	w := testkit.NewWorld(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx.example"}, NotBefore: w.Clock.Now().Add(-time.Hour),
		NotAfter: w.Clock.Now().Add(24 * time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert := tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
	set := Feature().Options[0]
	scope := func(hosts string) *expand.Scope {
		bag := option.Bag{}
		bag.Add(set)
		option.Of[settings](bag).hosts = option.HostList(hosts)
		return &expand.Scope{Engine: &expand.Engine{World: w.World}, Config: configuration{bag: bag}, Session: &mail.Session{Host: netip.MustParseAddr("192.0.2.1")}}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := &tls.Config{InsecureSkipVerify: true, ServerName: "mx.example", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4),
			Time: w.Clock.Now}
		room := &tickets{}
		for i, c := range []struct {
			hosts   string
			bits    int
			resumed bool
		}{
			{"", supported, false},
			{"198.51.100.0/24", supported, false},
			{"192.0.2.1", supported | requested | issued, false},
			{"*", supported | requested | offered | used, true},
			{"", supported, false},
		} {
			bits, resumed := shake(t, room, scope(c.hosts), client, cert)
			if bits&^issued != c.bits&^issued || bits&issued == 0 && c.bits&issued != 0 || resumed != c.resumed {
				t.Errorf("%x, connection %d: bits %05b, resumed %v; want %05b, %v", version, i, bits, resumed, c.bits, c.resumed)
			}
		}
	}
}

// A key makes tickets for an hour; the one before it still opens them.
func TestKeys(t *testing.T) {
	w := testkit.NewWorld(t)
	room := &tickets{}
	at := func(d time.Duration) [][32]byte {
		w.Clock.Advance(d)
		keys, err := room.keys(w.World)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	first := at(0)
	if same := at(59 * time.Minute); len(same) != 1 || same[0] != first[0] {
		t.Error("the key changed too early")
	}
	second := at(2 * time.Minute)
	if len(second) != 2 || second[0] == first[0] || second[1] != first[0] {
		t.Error("no new key with the old one beside it")
	}
	if third := at(3 * time.Hour); len(third) != 1 || third[0] == second[0] {
		t.Error("an old key is still there")
	}
}
