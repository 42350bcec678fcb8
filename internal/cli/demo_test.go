package cli

import (
	"bytes"
	"strings"
	"testing"

	"exigo/internal/outside"
)

// TestDemo runs the newcomer's first command to its end.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	var out bytes.Buffer
	if err := demo([]string{"-once"}, outside.Real(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{" => demo <demo@demo.localhost> R=local_user T=local_delivery", " Completed", "It works.", "Return-path: <visitor@example.org>"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}
