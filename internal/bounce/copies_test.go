package bounce

import (
	"context"
	"slices"
	"strings"
	"testing"

	"exigo/internal/mail"
)

func TestErrorsCopy(t *testing.T) {
	for _, row := range []struct {
		option, to string
		want       []string
		complaint  string
	}{
		{"spqr@d.ex postmaster@d.ex : rqps@d.ex hostmaster@d.ex,\\\n  postmaster@d.ex", "rqps@d.ex", []string{"hostmaster@d.ex", "postmaster@d.ex"}, ""},
		{"spqr@d.ex postmaster@d.ex : *@d.ex other@d.ex", "spqr@d.ex", []string{"postmaster@d.ex"}, ""},
		{"spqr@d.ex postmaster@d.ex", "other@d.ex", nil, ""},
		{`x@d.ex y@d.ex : "a b@d.ex" x@d.ex : *@* $local_part+$domain@q.ex`, "u@d.ex", []string{"u+d.ex@q.ex"}, ""},
		{`^u.*@ "Desk" <desk>`, "u@d.ex", []string{"desk@q.ex"}, ""},
		{"*@d.ex", "u@d.ex", nil, `missing addresses after "*@d.ex" in errors_copy`},
		{"*@d.ex x@@y, ok@d.ex", "u@d.ex", []string{"ok@d.ex"}, "malformed address in errors_copy: "},
		{"*@d.ex ${bad::x}", "u@d.ex", nil, `failed to expand "*@d.ex ${bad:x}" in errors_copy: unknown expansion operator "bad"`},
	} {
		d := newDesk(t, "errors_copy = "+row.option+"\n")
		if err := d.Failure(context.Background(), d.report(row.to, address("t@x", mail.Outcome{Message: "no"}))); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(d.to, append([]string{row.to}, row.want...)) {
			t.Errorf("%s: %q", row.option, d.to)
		}
		if got := strings.Join(d.panics, "|"); !strings.Contains(got, row.complaint) || (row.complaint == "") != (got == "") {
			t.Errorf("%s: %s", row.option, got)
		}
	}
}
