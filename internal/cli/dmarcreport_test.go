package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/proto/dmarc"
	"exigo/internal/testkit"
)

const dmarcHistory = `job 1
reporter mx.test
received 920367873
ipaddr 192.0.2.1
from good.example
mfrom good.example
spf 0
dkim good.example sel 0
pdomain good.example
policy 15
rua mailto:rua@good.example!5m
rua mailto:dmarc@collector.example
rua mailto:x@silent.example
pct 100
adkim 114
aspf 115
p 114
sp 113
align_dkim 4
align_spf 4
action 2
arc 11
arc_policy 1 json:[ ]
job 2
received 920367900
ipaddr 2001:db8::1
from sub.good.example
mfrom 
spf 6
pdomain good.example
policy 17
rua mailto:rua@good.example!5m
rua mailto:dmarc@collector.example
rua mailto:x@silent.example
pct 100
adkim 114
aspf 115
p 114
sp 113
align_dkim 5
align_spf 5
job 3
received 920367901
ipaddr 192.0.2.9
from quiet.example
mfrom quiet.example
spf 0
pdomain quiet.example
policy 15
rua -
p 114
job 4
received 920367902
ipaddr 192.0.2.9
from missing.example
pdomain missing.example
policy 14
rua -
p 0
`

// TestDMARCReport makes reports of all forms of a history.
func TestDMARCReport(t *testing.T) {
	world := testkit.NewWorld(t)
	world.Zones.Add(`good.example._report._dmarc.collector.example. TXT "v=DMARC1"`)
	dir := t.TempDir()
	history := filepath.Join(dir, "history")
	if err := os.WriteFile(history, []byte(dmarcHistory), 0o600); err != nil {
		t.Fatal(err)
	}
	call := func(words ...string) (out, errs, problem string) {
		var o, e bytes.Buffer
		r := &reporter{world: world.World, out: &o, errs: &e}
		if err := r.run(context.Background(), append(words, history)); err != nil {
			problem = err.Error()
		}
		return o.String(), e.String(), problem
	}
	out, _, problem := call("-from", "Reports <dmarc@mx.example>", "-dir", dir)
	name := filepath.Join(dir, "mx.example!good.example!920367873!920367900!920367873.920367900.good.example@mx.example.xml.gz")
	if out != name+"\n" || problem != "" {
		t.Fatalf("%q %q", out, problem)
	}
	data, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	z, err := gzip.NewReader(data)
	if err != nil {
		t.Fatal(err)
	}
	f, err := dmarc.ReadFeedback(z)
	if err != nil || len(f.Records) != 2 || f.Policy.Subdomain != dmarc.Quarantine || f.Policy.SPF != "s" || f.Records[0].Evaluated.Disposition != "pass" ||
		f.Records[1].Evaluated.Disposition != "quarantine" || f.Records[1].Identifiers.From != "sub.good.example" || f.Metadata.Organization != "mx.example" {
		t.Errorf("%+v %v", f, err)
	}
	out, errs, _ := call("-from", "dmarc@mx.example", "-dir", dir, "-format", "eml", "-begin", "1999-03-02", "-end", "1999-03-03T00:00:00Z")
	text, err := os.ReadFile(strings.TrimSpace(out))
	if err != nil || !strings.Contains(string(text), "\nTo: rua@good.example,\n\tdmarc@collector.example\n") || !strings.Contains(out, "!920332800!920419199!") ||
		errs != "good.example: 1 of 3 destinations are left out: not mailboxes, or they do not want reports about it\n" {
		t.Errorf("%s %q %v\n%s", out, errs, err, text)
	}
	if out, _, _ = call("-from", "dmarc@mx.example", "-dir", dir, "-format", "xml", "-begin", "920367874"); !strings.HasSuffix(out, ".xml\n") {
		t.Error(out)
	}
	for want, words := range map[string][]string{
		"-from must be a mail address":   nil,
		"-format must be gz, xml or eml": {"-from", "a@b.example", "-format", "pdf"},
		`"yesterday" is no time`:         {"-from", "a@b.example", "-begin", "yesterday"},
		"nothing was done":               {"-unknown"},
	} {
		if _, _, problem := call(words...); problem != want {
			t.Errorf("%v: %q", words, problem)
		}
	}
	for _, words := range [][]string{{"-from", "a@b.example", "-domain", "other.example"}, {"-from", "a@b.example", "-end", "2"}} {
		if out, _, problem := call(words...); out+problem != "" {
			t.Errorf("%v: %q %q", words, out, problem)
		}
	}
}
