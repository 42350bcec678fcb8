package arc

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"exigo/internal/proto/dkim"

	"gopkg.in/yaml.v3"
)

// signingScenario is one document of the ARC signing test suite.
type signingScenario struct {
	Description string `yaml:"description"`
	Tests       map[string]struct {
		Message string `yaml:"message"`
		T       string `yaml:"t"`
		Headers string `yaml:"sig-headers"`
		SrvID   string `yaml:"srv-id"`
		AS      string `yaml:"AS"`
		AMS     string `yaml:"AMS"`
		AAR     string `yaml:"AAR"`
	} `yaml:"tests"`
	Domain     string            `yaml:"domain"`
	Selector   string            `yaml:"sel"`
	PrivateKey string            `yaml:"privatekey"`
	TXT        map[string]string `yaml:"txt-records"`
}

// sortedFormat writes tags in alphabetical order, as the suite's signatures are made. Signatures in it stand as lines of 72 characters.
func sortedFormat(name string, tags []dkim.Tag) string {
	tags = slices.Clone(tags)
	slices.SortFunc(tags, func(a, b dkim.Tag) int { return strings.Compare(a.Name, b.Name) })
	var list []string
	for _, t := range tags {
		list = append(list, t.Name+"="+t.Value)
	}
	return name + ": " + strings.Join(list, "; ") + "\n"
}

// splitMessage splits a message of LF lines.
func splitMessage(text string) (fields []string, body string) {
	head, body, _ := strings.Cut(text, "\n\n")
	for line := range strings.Lines(strings.TrimSuffix(head, "\n") + "\n") {
		if n := len(fields); n > 0 && (line[0] == ' ' || line[0] == '\t') {
			fields[n-1] += line
		} else {
			fields = append(fields, line)
		}
	}
	return fields, body
}

// TestSigningSuite runs the ARC signing suite (ValiMail/arc_test_suite): every field of every set is equal, signatures included.
func TestSigningSuite(t *testing.T) {
	dir := os.Getenv("EXIGO_SUITES")
	if dir == "" {
		t.Skip("EXIGO_SUITES does not say where the test suites are")
	}
	f, err := os.Open(filepath.Join(dir, "arc-sign", "arc-draft-sign-tests.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for d := yaml.NewDecoder(f); ; {
		var s signingScenario
		if err := d.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		key, err := dkim.ParsePrivateKey(s.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		for name, x := range s.Tests {
			n++
			fields, body := splitMessage(x.Message)
			payload, status, ok := Combine(fields, x.SrvID, "")
			if !ok {
				t.Errorf("%s: no results", name)
			}
			at, _ := strconv.ParseInt(x.T, 10, 64)
			one := &Seal{Domain: s.Domain, Selector: s.Selector, Key: key, Results: payload, Status: status, Names: strings.Split(x.Headers, ":"),
				Header: dkim.Relaxed, Body: dkim.Relaxed, Time: time.Unix(at, 0), Random: rand.Reader, format: sortedFormat}
			w, hash := one.NewBody(true)
			io.WriteString(w, body)
			w.Close()
			set, err := one.Set(fields, hash.Sum())
			if strings.TrimSpace(x.AS) == "" {
				if !errors.Is(err, ErrEnded) {
					t.Errorf("%s: %v %q", name, err, set)
				}
				continue
			}
			got, _ := splitMessage(set)
			if err != nil || len(got) != 3 {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for i, want := range []string{SealField + ":" + x.AS, ResultsField + ":" + x.AAR, SignatureField + ":" + x.AMS} {
				if g, w := canonical(got[i]), canonical(want); g != w {
					t.Errorf("%s:\n got %s\nwant %s", name, g, w)
				}
			}
			// and the chain verifies
			v := NewVerifier(append(got, fields...), true)
			io.WriteString(v, body)
			v.Close()
			o := v.Verify(context.Background(), func(_ context.Context, name string) ([]string, error) {
				if r, ok := s.TXT[name]; ok {
					return []string{strings.ReplaceAll(r, "\n", "")}, nil
				}
				return nil, dkim.ErrNoRecord
			}, time.Unix(at, 0))
			want := Pass
			if status == Fail {
				want = Fail
			}
			if o.Result != want {
				t.Errorf("%s: verifies as %+v", name, o)
			}
		}
	}
	if n != 17 {
		t.Errorf("%d cases", n)
	}
}

// canonical is a field as a comparison needs it: relaxed, and without white space in signatures.
func canonical(field string) string {
	field = strings.ReplaceAll(strings.TrimSpace(field), "\n", "\n ")
	text := string(bytes.TrimSpace(dkim.Relaxed.AppendHeader(nil, field)))
	name, _, _ := strings.Cut(text, ":")
	if name == strings.ToLower(ResultsField) {
		return text
	}
	list := strings.Split(text, "; ")
	for i, tag := range list {
		list[i] = strings.ReplaceAll(tag, " ", "")
	}
	return strings.Join(list, "; ")
}
