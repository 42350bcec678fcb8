package builtin

import (
	"strings"
	"testing"
)

func TestSplitName(t *testing.T) {
	for in, want := range map[string]string{"": "", "CN=a": "CN=a", `CN=a\,b,O=c\\,C=d`: `CN=a\,b|O=c\\|C=d`, `CN=a\`: `CN=a\`, "a,": "a|"} {
		if got := strings.Join(splitName(in), "|"); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
