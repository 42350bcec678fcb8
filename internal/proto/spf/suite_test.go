package spf

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// scenario is one document of the openspf test suite.
type scenario struct {
	Description string                 `yaml:"description"`
	Tests       map[string]suiteCase   `yaml:"tests"`
	Zone        map[string][]yaml.Node `yaml:"zonedata"`
}

type suiteCase struct {
	HELO        string    `yaml:"helo"`
	Host        string    `yaml:"host"`
	MailFrom    string    `yaml:"mailfrom"`
	Result      yaml.Node `yaml:"result"`
	Explanation string    `yaml:"explanation"`
}

var errTimeout = errors.New("timeout")

// zone is the data of a fake DNS: texts by lower-case name and type.
type zone struct {
	records map[string]map[Type][]string
	cnames  map[string]string
	timeout map[string]bool
	asked   int
}

var suiteTypes = map[string]Type{"A": A, "AAAA": AAAA, "MX": MX, "PTR": PTR, "TXT": TXT, "SPF": 99}

// load reads the zone data of a scenario: a name without TXT records has its SPF records as TXT, unless it says "TXT: NONE".
func load(t *testing.T, data map[string][]yaml.Node) *zone {
	z := &zone{records: map[string]map[Type][]string{}, cnames: map[string]string{}, timeout: map[string]bool{}}
	for name, rows := range data {
		name = strings.ToLower(name)
		m := map[Type][]string{}
		text := false
		for _, row := range rows {
			if row.Kind == yaml.ScalarNode { // TIMEOUT: of what is not given
				z.timeout[name] = true
				continue
			}
			kind, value := row.Content[0].Value, row.Content[1]
			text = text || kind == "TXT"
			joined := value.Value
			if value.Kind == yaml.SequenceNode {
				joined = ""
				for i, part := range value.Content {
					if kind != "MX" || i == 1 {
						joined += part.Value
					}
				}
			}
			switch {
			case kind == "CNAME":
				z.cnames[name] = joined
			case kind != "TXT" || value.Value != "NONE":
				m[suiteTypes[kind]] = append(m[suiteTypes[kind]], joined)
			}
		}
		if !text {
			m[TXT] = m[99]
		}
		z.records[name] = m
	}
	return z
}

func (z *zone) lookup(_ context.Context, name string, kind Type) ([]string, error) {
	z.asked++
	for range 8 {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		target, ok := z.cnames[name]
		if !ok {
			if data := z.records[name][kind]; len(data) > 0 {
				return data, nil
			}
			if z.timeout[name] {
				return nil, errTimeout
			}
			return nil, ErrVoid
		}
		name = target
	}
	return nil, errTimeout
}

// TestSuite runs the openspf test suite for RFC 7208, which EXIGO_SUITES/spf holds.
func TestSuite(t *testing.T) {
	dir := os.Getenv("EXIGO_SUITES")
	if dir == "" {
		t.Skip("EXIGO_SUITES is not set")
	}
	data, err := os.ReadFile(filepath.Join(dir, "spf", "rfc7208-tests.yml"))
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var s scenario
		err := d.Decode(&s)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		z := load(t, s.Zone)
		for name, c := range s.Tests {
			cases++
			t.Run(name, func(t *testing.T) { c.run(t, z) })
		}
	}
	if cases != 203 {
		t.Errorf("%d cases, not 203", cases)
	}
}

func (c *suiteCase) run(t *testing.T, z *zone) {
	q := Query{IP: netip.MustParseAddr(c.Host), HELO: c.HELO, Sender: c.MailFrom, Receiver: "receiver.example", Now: time.Unix(1e9, 0)}
	got := Check(context.Background(), z.lookup, q)
	want := []string{c.Result.Value}
	if c.Result.Kind == yaml.SequenceNode {
		want = nil
		for _, n := range c.Result.Content {
			want = append(want, n.Value)
		}
	}
	if !slices.Contains(want, string(got.Result)) {
		t.Errorf("%+v: %s (%s), want %s", q, got.Result, got.Problem, want)
	}
	explanation := got.Explanation
	if explanation == "" {
		explanation = "DEFAULT"
	}
	if c.Explanation != "" && explanation != c.Explanation {
		t.Errorf("%+v: explanation %q, want %q", q, explanation, c.Explanation)
	}
}
