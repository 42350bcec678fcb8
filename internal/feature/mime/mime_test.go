package mime

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/proto/mime"
	"exigo/internal/scan"
)

const sample = "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\npre\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--c--\n--b\n" +
	"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"a.txt\"\n\naGVs\nbG8=\n--b\nContent-Type: message/rfc822\n\nSubject: inner\n\nbody\n--b--\n"

// TestDecode: what decode writes of each part, multiparts with all that is in them.
func TestDecode(t *testing.T) {
	i := strings.Index(sample, "\n\n") + 2
	m := &mail.Message{ID: "id"}
	for _, line := range strings.SplitAfter(sample[:i-1], "\n") {
		if line != "" {
			m.Headers = append(m.Headers, mail.Header{Text: line, Type: ' '})
		}
	}
	m.Headers = append(m.Headers, mail.Header{Text: "Gone: x\n", Type: '*'})
	source := newWhole(m, io.NewSectionReader(strings.NewReader(sample[i:]), 0, int64(len(sample)-i)))
	st := &state{budget: 1000, scan: &scan.Directory{Path: filepath.Join(t.TempDir(), "scan", "id")}}
	if !hasType(m) || source.Size() != int64(len(sample)) {
		t.Fatal(source.Size())
	}
	w := mime.NewWalker(source.reader(), mime.Limits{})
	want := []string{sample[i:], "--c\n\none\n--c--", "one", "hello", "Subject: inner\n\nbody"}
	for n := 0; ; n++ {
		part, err := w.Next()
		if err == io.EOF {
			if n != len(want) {
				t.Errorf("%d parts", n)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		st.part, st.source = part, source
		name := st.fileName(m.ID)
		if err := st.decode(name); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(name); string(got) != want[n] || st.size != int64(len(got)) {
			t.Errorf("part %d: %q", n, got)
		}
	}
	if st.budget = 2; st.decode(st.fileName("id")) != errBudget {
		t.Error("too much was decoded")
	}
}

// TestVariables: outside of the ACL they are empty, and the count is -1.
func TestVariables(t *testing.T) {
	st := &state{part: &mime.Part{Type: "multipart/mixed", Header: nil}, decoded: "/f", size: 1025, anomaly: "x"}
	st.part.Type, st.part.Parameters = mime.ParseParameters("Multipart/Mixed; boundary=\"b b\"; charset=x")
	for name, want := range map[string]string{"mime_boundary": "b b", "mime_charset": "x", "mime_content_size": "2", "mime_content_type": "multipart/mixed",
		"mime_is_multipart": "1", "mime_is_coverletter": "1", "mime_is_rfc822": "0", "mime_anomaly_level": "1", "mime_anomaly_text": "x", "mime_content_id": "",
		"mime_decoded_filename": "/f", "mime_filename": "", "mime_part_count": "0"} {
		m := &mail.Message{}
		*mail.State[state](&m.Bag) = *st
		for _, v := range variables() {
			if v.Name != name {
				continue
			}
			if got, _ := v.Get(scope(m)); got.S != want || got.Tainted != (name != "mime_part_count" && name != "mime_decoded_filename") {
				t.Errorf("$%s: %+v", name, got)
			}
			empty := ""
			if name == "mime_part_count" {
				empty = "-1"
			}
			if got, _ := v.Get(scope(&mail.Message{})); got.S != empty {
				t.Errorf("$%s: %+v", name, got)
			}
		}
	}
}

func scope(m *mail.Message) *expand.Scope { return &expand.Scope{Message: m} }

// TestCharset has Exim's answers.
func TestCharset(t *testing.T) {
	for _, x := range [][3]string{
		{`text/plain; charset="utf-8""`, "utf-8", "utf-8;"}, {`text/plain; charset="utf-8`, "x", "utf-8;"}, {`text/plain; charset=utf"8`, "x", "utf8;"},
		{`text/plain; charset="utf-8" x; name=y`, "x", "x"}, {`text/plain; name="y`, "x", "x"}, {`text/plain; name=y; charset="`, "x", ";"}, {"", "", ""},
	} {
		if got := charset(x[0], x[1]); got != x[2] {
			t.Errorf("%s: %q", x[0], got)
		}
	}
}
