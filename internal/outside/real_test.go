package outside

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"
)

func TestUsers(t *testing.T) {
	dir := t.TempDir()
	passwd, group := filepath.Join(dir, "passwd"), filepath.Join(dir, "group")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u := newFileUsers(passwd, group)
	if _, found, err := u.ByName("root"); found || err != nil {
		t.Errorf("no file: %v %v", found, err)
	}
	write(passwd, "root:x:0:0:Charlie &,,,:/root:/bin/sh\n# c:x:1:1:::\nshort:x:1\nbad:x:-1:0:::\nann:x:1001:100:Ann:/home/ann:\nann:x:1:1:other::\ntoor:x:0:0:second::\n+nis\n")
	write(group, "users:x:100:\nmail:x:8:ann, bob\nwheel:*:0:root,ann\n")
	ann := User{Name: "ann", UID: 1001, GID: 100, Gecos: "Ann", Home: "/home/ann"}
	for _, name := range []string{"ann", "root", "bad", "short", "#c", "bob"} {
		got, found, err := u.ByName(name)
		if err != nil || found != (name == "ann" || name == "root") || name == "ann" && got != ann {
			t.Errorf("%s: %+v %v %v", name, got, found, err)
		}
	}
	if got, _, _ := u.ByUID(0); got.Name != "root" {
		t.Errorf("uid 0 is %+v", got)
	}
	if g, found, _ := u.GroupByGID(8); !found || cmp.Diff([]string{"ann", "bob"}, g.Members) != "" {
		t.Errorf("%+v", g)
	}
	if g, err := u.GroupsOf(ann); err != nil || cmp.Diff([]int{100, 8, 0}, g) != "" {
		t.Errorf("groups %v %v", g, err)
	}
	write(passwd, "bob:x:5:5:::\n")
	if _, found, _ := u.ByName("ann"); found {
		t.Error("a change of the file was not noticed")
	}
	if _, found, _ := u.ByName("bob"); !found {
		t.Error("bob is missing")
	}
}

func TestLoadAverage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "load")
	for text, want := range map[string]int{"0.52 0.4 0.3 1/2 3\n": 520, "12.00": 12000, "x": -1, "": -1, "-1": -1} {
		os.WriteFile(file, []byte(text), 0o600)
		if got, ok := loadAverage(file); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d %v", text, got, ok)
		}
	}
}

func TestReal(t *testing.T) {
	w := Real()
	if w.Users == nil || w.Hostname() == "" || w.PID != os.Getpid() || w.Caller.UID != os.Getuid() || w.Quirks.On {
		t.Errorf("%+v", w)
	}
	if list, err := w.Interfaces(); err != nil || len(list) == 0 {
		t.Errorf("interfaces %v %v", list, err)
	}
	if _, err := w.Dial.Dial(t.Context(), "tcp", netip.Addr{}, "localhost:25"); err == nil || !strings.Contains(err.Error(), "not an IP address") {
		t.Errorf("dialled a name: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Clock.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for q, want := range map[Question]string{{Name: "LOCALHOST.", Type: TypeA}: "127.0.0.1", {Name: "localhost", Type: TypeAAAA}: "::1"} {
		if a, err := w.DNS.Lookup(t.Context(), q); err != nil || a.Records[0].Data != want {
			t.Errorf("%+v: %+v %v", q, a, err)
		}
	}
	if _, set := lookupEnvironment([]string{"AB=1", "A=2=3", "A"}, "A"); !set {
		t.Error("A is not set")
	}
}

func TestFromRR(t *testing.T) {
	for text, want := range map[string]Record{
		`X.Example. 60 A 192.0.2.1`:                  {Name: "x.example", Type: TypeA, TTL: 60, Data: "192.0.2.1"},
		`x. 60 AAAA 2001:DB8::1`:                     {Name: "x", Type: TypeAAAA, TTL: 60, Data: "2001:db8::1"},
		`x. 60 MX 5 Mail.x.`:                         {Name: "x", Type: TypeMX, TTL: 60, Data: "mail.x", Preference: 5},
		`x. 60 MX 0 .`:                               {Name: "x", Type: TypeMX, TTL: 60},
		`x. 60 SRV 1 2 25 m.x.`:                      {Name: "x", Type: TypeSRV, TTL: 60, Data: "m.x", Preference: 1, Weight: 2, Port: 25},
		`x. 60 TXT "a b" "c\"\\\200"`:                {Name: "x", Type: TypeTXT, TTL: 60, Data: "a bc\"\\\xc8", Strings: []string{"a b", "c\"\\\xc8"}},
		`x. 60 TLSA 3 1 1 ABCD`:                      {Name: "x", Type: TypeTLSA, TTL: 60, Data: "abcd", Usage: 3, Selector: 1, Matching: 1},
		`x. 60 SOA ns.x. root\.er.x. 1 2 3 4 5`:      {Name: "x", Type: TypeSOA, TTL: 60, Data: "ns.x", SOA: SOA{Mailbox: `root\.er.x`, Serial: 1, Refresh: 2, Retry: 3, Expire: 4, Minimum: 5}},
		`1.2.0.192.in-addr.arpa. 60 PTR Host\010.x.`: {Name: "1.2.0.192.in-addr.arpa", Type: TypePTR, TTL: 60, Data: `host\010.x`},
		`x. 60 HINFO "a" "b"`:                        {Name: "x", Type: 13, TTL: 60, Data: `"a" "b"`},
	} {
		rr, err := mdns.NewRR(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if d := cmp.Diff(want, FromRR(rr)); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}
