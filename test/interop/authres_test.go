package interop

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"exigo/internal/proto/authres"
)

// readAuthres has python3-authres read a field, and write it again.
const readAuthres = `
import json, sys, authres
h = authres.AuthenticationResultsHeader.parse(sys.stdin.read())
json.dump([h.authserv_id, str(h), [[r.method, r.result] + [[p.type, p.name, p.value] for p in r.properties] for r in h.results]], sys.stdout)
`

// TestAuthenticationResults: python3-authres, which obeys the grammar of RFC 8601 to the letter, understands what is written, and what it makes of it
// is understood here.
func TestAuthenticationResults(t *testing.T) {
	if err := exec.Command("/usr/bin/python3", "-I", "-c", "import authres").Run(); err != nil {
		t.Skip("python3-authres is missing")
	}
	h := authres.Header{ID: "mx.example.org", Results: []authres.Result{
		{Method: "iprev", Result: "pass", Comment: "host.example", Properties: []authres.Property{{Type: "smtp", Name: "remote-ip", Value: "2001:db8::1"}}},
		{Method: "auth", Result: "pass", Comment: "PLAIN", Properties: []authres.Property{{Type: "smtp", Name: "auth", Value: "joe blow"}}},
		{Method: "spf", Result: "softfail", Properties: []authres.Property{{Type: "smtp", Name: "helo", Value: "[192.0.2.1]"}}},
		{Method: "dkim", Result: "fail", Comment: "body hash mismatch; body probably modified in transit", Break: true, Properties: []authres.Property{
			{Type: "header", Name: "d", Value: "b.example"}, {Type: "header", Name: "i", Value: "@b.example"}, {Type: "header", Name: "b", Value: "ab/+c=="}}},
		{Method: "spf", Result: "none", Comment: `odd ) \ (`, Properties: []authres.Property{{Type: "smtp", Name: "mailfrom", Value: "a;x=y"}}},
		{Method: "dmarc", Result: "pass", Reason: `a "reason"`, Properties: []authres.Property{{Type: "header", Name: "from", Value: "b.example"}}},
		{Method: "arc", Result: "none"}}}
	cmd := exec.Command("/usr/bin/python3", "-I", "-c", readAuthres)
	cmd.Stdin = strings.NewReader(h.Field())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, h.Field())
	}
	var id, written string
	var results []json.RawMessage
	if err := json.Unmarshal(out, &[]any{&id, &written, &results}); err != nil {
		t.Fatal(err)
	}
	if id != h.ID || len(results) != len(h.Results) {
		t.Fatalf("%s", out)
	}
	_, payload, _ := strings.Cut(written, ":")
	again, err := authres.Parse(payload)
	if err != nil {
		t.Fatalf("%v\n%s", err, written)
	}
	for i, r := range h.Results {
		want := []any{r.Method, r.Result}
		for _, p := range r.Properties {
			want = append(want, []any{p.Type, p.Name, p.Value})
		}
		var got []any
		if json.Unmarshal(results[i], &got); !reflect.DeepEqual(got, want) {
			t.Errorf("%v was read as %s", want, results[i])
		}
		if back := again.Results[i]; back.Method != r.Method || back.Result != r.Result || !reflect.DeepEqual(back.Properties, r.Properties) {
			t.Errorf("%+v came back as %+v", r, back)
		}
	}
}
