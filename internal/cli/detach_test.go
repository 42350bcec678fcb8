package cli

import (
	"bytes"
	"io"
	"testing"
)

// TestReport: what a daemon says while it starts reaches who started it; what it says later goes nowhere.
func TestReport(t *testing.T) {
	for _, x := range []struct {
		say   []string
		serve bool
		want  string
	}{
		{nil, true, ""}, {[]string{"exim: no spool\n"}, false, "exim: no spool\n"}, {[]string{"port in use\n", "a\x00b\n"}, true, "port in use\na?b\n"}, {nil, false, ""},
	} {
		from, to := io.Pipe()
		r := &startReport{pipe: to}
		go func() {
			for _, text := range x.say {
				r.Write([]byte(text))
			}
			if x.serve {
				r.ready()
			}
			to.Close()
		}()
		var got bytes.Buffer
		if ready := passReport(from, &got); ready != x.serve || got.String() != x.want {
			t.Errorf("%q: %v %q", x.say, ready, &got)
		}
		if x.serve {
			if n, err := r.Write([]byte("later")); n != 5 || err != nil || r.pipe != nil {
				t.Errorf("later: %d %v", n, err)
			}
		}
	}
}
