package hostfind

import (
	"net/netip"
	"testing"

	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/testkit"
)

func TestItem(t *testing.T) {
	for in, want := range map[string]struct {
		name string
		port int
	}{
		"host": {"host", 0}, "host:25": {"host", 25}, "1.2.3.4": {"1.2.3.4", 0}, "1.2.3.4:26": {"1.2.3.4", 26}, "::1": {"::1", 0},
		"[::1]:25": {"::1", 25}, "[::1]": {"::1", 0}, "[1.2.3.4]:99": {"1.2.3.4", 99}, "host:": {"host:", 0}, "host:0": {"host:0", 0},
		"host:65536": {"host:65536", 0}, "[x]:25": {"[x]:25", 0}, "h/mx:26": {"h/mx", 26}, "fdee::2": {"fdee::2", 0}, "": {"", 0}, ":25": {":25", 0},
	} {
		if name, port := Item(in); name != want.name || port != want.port {
			t.Errorf("%q: %q %d, want %q %d", in, name, port, want.name, want.port)
		}
	}
}

func FuzzItem(f *testing.F) {
	f.Add("[::1]:25")
	f.Fuzz(func(t *testing.T, text string) {
		if name, port := Item(text); len(name) > len(text) || port < 0 || port > 65535 {
			t.Errorf("%q: %q %d", text, name, port)
		}
	})
}

func TestInterfaceAddress(t *testing.T) {
	for in, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "1.2.3.4.25": "1.2.3.4", "::1": "::1", "::1.25": "::1", "[1.2.3.4]:25": "1.2.3.4", "0.0.0.0": "0.0.0.0",
	} {
		if a, ok := interfaceAddress(in); !ok || a.String() != want {
			t.Errorf("%q: %v %v", in, a, ok)
		}
	}
	if _, ok := interfaceAddress("name"); ok {
		t.Error("a name is no address")
	}
}

// TestByWeight: RFC 2782: lower priorities come first, all records come out once, weight 0 is rarely first.
func TestByWeight(t *testing.T) {
	w := testkit.NewWorld(t)
	f := &finder{world: w.World}
	first := map[string]int{}
	for range 300 {
		out := f.byWeight([]outside.Record{
			{Data: "late", Preference: 2}, {Data: "zero", Preference: 1}, {Data: "heavy", Preference: 1, Weight: 90}, {Data: "light", Preference: 1, Weight: 10},
		})
		if len(out) != 4 || out[3].Data != "late" {
			t.Fatal(out)
		}
		first[out[0].Data]++
	}
	if first["heavy"] < 200 || first["light"] == 0 || first["zero"] > 20 {
		t.Error(first)
	}
}

func TestFamiliesFirst(t *testing.T) {
	v4, v6 := netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::5")
	in := []mail.Host{{Name: "a", MX: 1, Address: v4}, {Name: "b", MX: 1, Address: v6}, {Name: "c", MX: 2, Address: v4}, {Name: "d", MX: 2}}
	names := func(hosts []mail.Host) (s string) {
		for _, h := range hosts {
			s += h.Name
		}
		return s
	}
	if got := names(familiesFirst(in, false)); got != "bacd" {
		t.Error(got)
	}
	if got := names(familiesFirst(in, true)); got != "abcd" {
		t.Error(got)
	}
}
