package catalog

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exigo/internal/feature"
	"exigo/internal/testkit"
)

// TestEventDoors: without actions every door is shut, so that nothing is computed for events; without the room the option is refused.
func TestEventDoors(t *testing.T) {
	load := func(c *Catalog, main, options string) (*Server, error) {
		dir := t.TempDir()
		path := filepath.Join(dir, "config")
		text := "exim_user = root\nkeep_environment =\nspool_directory = " + dir + "\nlog_file_path = " + dir + "/%slog\n" + main + "\nbegin transports\na:\n  driver = smtp\n" + options + "\nb:\n  driver = pipe\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Load(context.Background(), Request{World: testkit.NewWorld(t).World, Catalog: c, Path: path, Alternate: true, Unprivileged: true})
		if err == nil {
			t.Cleanup(s.Close)
		}
		return s, err
	}
	for _, c := range []struct {
		main, options string
		open          []bool // main program, sessions, TLS, transports a and b, the DNS
	}{
		{"", "", []bool{false, false, false, false, false, false}},
		{"event_action = x", "", []bool{true, true, true, false, false, true}},
		{"", "  event_action = x", []bool{false, false, false, true, false, false}},
		{"", "  tpda_delivery_action = x", []bool{false, false, false, true, false, false}},
		{"", "  tpda_host_defer_action = x", []bool{false, false, false, true, false, false}},
	} {
		s, err := load(nil, c.main, c.options)
		if err != nil {
			t.Fatal(err)
		}
		open := []bool{s.Raise != nil && s.Deliverer.Raise != nil, s.raiseInSession() != nil, s.TLS.Event != nil, s.Transports["a"].Raise != nil, s.Transports["b"].Raise != nil,
			s.Scope(t.Context(), nil).DNS() != s.World.DNS}
		if !slices.Equal(open, c.open) {
			t.Errorf("%q %q: %v, want %v", c.main, c.options, open, c.open)
		}
	}
	without := Default()
	without.Features = slices.DeleteFunc(slices.Clone(without.Features), func(f *feature.Feature) bool { return f.Name == "events" })
	if _, err := load(&without, "", "  event_action = x"); err == nil || !strings.Contains(err.Error(), `option "event_action" of the a transport is not supported yet`) {
		t.Error(err)
	}
}
