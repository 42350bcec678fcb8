package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func bodyFile(t testing.TB, text string) Body {
	t.Helper()
	name := filepath.Join(t.TempDir(), "D")
	if err := os.WriteFile(name, []byte("id-D\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return Body{File: f, Offset: 5, Size: int64(len(text))}
}

func TestWriteTo(t *testing.T) {
	mmdf := WriteOptions{Check: "\x01\x01\n", Escape: "\x01\x01 \n"}
	for _, c := range []struct {
		name, header, body, want string
		o                        WriteOptions
		headersOnly, bodyOnly    bool
	}{
		{name: "plain", header: "A: b\n", body: "x\r\ny", want: "A: b\n\nx\r\ny"},
		{name: "crlf", header: "A: b\n", body: "x\ny\n", want: "A: b\r\n\r\nx\r\ny\r\n", o: WriteOptions{CRLF: true}},
		{name: "dots", header: ".A: b\n", body: ".\n..x\na.b\n", want: "..A: b\r\n\r\n..\r\n...x\r\na.b\r\n", o: DotStuff},
		{name: "final newline", header: "A: b\n", body: "x", want: "A: b\r\n\r\nx\r\n", o: DotStuff},
		{name: "no body", header: "A: b\n", want: "A: b\r\n\r\n", o: DotStuff},
		{name: "from", header: "A: b\n", body: "From me\n From\nFrom", want: "A: b\n\n>From me\n From\nFrom", o: WriteOptions{Check: "From ", Escape: ">From "}},
		{name: "from in the header", header: "From : b\n", body: "\n", want: "From : b\n\n\n", o: WriteOptions{Check: "From ", Escape: ">From "}},
		{name: "start of line at the end", header: "A: b\n", body: "x\nFro", want: "A: b\n\nx\nFro", o: WriteOptions{Check: "From ", Escape: ">From "}},
		{name: "lines as check", header: "A: b\n", body: "\x01\x01\n\x01\x01\nx\x01\x01\n", want: "A: b\n\n\x01\x01 \n\x01\x01 \nx\x01\x01\n", o: mmdf},
		{name: "nul", header: "A: b\n", body: "a\x00b\n", want: "A: b\n\na\x00b\n"},
		{name: "headers only", header: "A: b\n", body: "x\n", want: "A: b\n\n", headersOnly: true},
		{name: "body only", header: "A: b\n", body: "x\n", want: "x\n", bodyOnly: true},
	} {
		m := &Message{Header: []byte(c.header), Body: bodyFile(t, c.body), HeadersOnly: c.headersOnly, BodyOnly: c.bodyOnly}
		var got bytes.Buffer
		n, err := m.WriteTo(context.Background(), &got, c.o)
		if err != nil || got.String() != c.want || n != int64(len(c.want)) {
			t.Errorf("%s: %q (%d, %v), want %q", c.name, got.String(), n, err, c.want)
		}
		if c.o == (WriteOptions{}) && m.Size() != n {
			t.Errorf("%s: Size %d, written %d", c.name, m.Size(), n)
		}
	}
}

// oneByte feeds the writer byte by byte: the result must not depend on how the text is cut.
func TestWriteToPieces(t *testing.T) {
	text := "From \nFrom x\nFro\n.\n..\n\nFrom From \n"
	for _, o := range []WriteOptions{DotStuff, {Check: "From ", Escape: ">From "}, {CRLF: true, Check: "\nF", Escape: "#"}} {
		var whole, pieces bytes.Buffer
		a := newLineWriter(&whole, o)
		a.Write([]byte(text))
		a.finish()
		b := newLineWriter(&pieces, o)
		for i := range text {
			b.Write([]byte(text[i : i+1]))
		}
		b.finish()
		if whole.String() != pieces.String() {
			t.Errorf("%+v: whole %q, pieces %q", o, whole.String(), pieces.String())
		}
	}
}

func FuzzWriteTo(f *testing.F) {
	f.Add([]byte("From x\n.\n"), ".", "..", true, 3)
	f.Add([]byte("\x01\x01\n"), "\x01\x01\n", "\x01 \n", false, 1)
	f.Fuzz(func(t *testing.T, text []byte, check, escape string, crlf bool, cut int) {
		o := WriteOptions{CRLF: crlf, Check: check, Escape: escape}
		var whole, pieces bytes.Buffer
		a := newLineWriter(&whole, o)
		a.Write(text)
		a.finish()
		b := newLineWriter(&pieces, o)
		cut = max(0, min(cut, len(text)))
		b.Write(text[:cut])
		b.Write(text[cut:])
		b.finish()
		if !bytes.Equal(whole.Bytes(), pieces.Bytes()) {
			t.Errorf("whole %q, cut at %d %q", whole.Bytes(), cut, pieces.Bytes())
		}
		if check == "" && !crlf && !bytes.Equal(whole.Bytes(), text) {
			t.Errorf("changed to %q", whole.Bytes())
		}
	})
}

type failingWriter struct{ after int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.after -= len(p); w.after < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestWriteToErrors(t *testing.T) {
	large := &Message{Header: []byte("A: b\n"), Body: bodyFile(t, strings.Repeat("x\n", 200000))}
	if _, err := large.WriteTo(context.Background(), &failingWriter{1000}, DotStuff); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("writer's error: %v", err)
	}
	short := *large
	short.Body.Size += 10
	if _, err := short.WriteTo(context.Background(), io.Discard, WriteOptions{}); !errors.Is(err, ErrSpool) {
		t.Errorf("short spool file: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := large.WriteTo(ctx, io.Discard, WriteOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFilter(t *testing.T) {
	m := &Message{Header: []byte("A: b\n"), Body: bodyFile(t, "body\n")}
	for _, c := range []struct {
		argv    []string
		timeout time.Duration
		want    string
		err     string
	}{
		{argv: []string{"/bin/cat"}, want: "A: b\r\n\r\nbody\r\n"},
		{argv: []string{"/bin/sh", "-c", "cat >/dev/null; echo .hi; echo err >&2"}, want: "..hi\r\nerr\r\n"},
		{argv: []string{"/bin/true"}, want: ""},
		{argv: []string{"/bin/sh", "-c", "exit 3"}, err: "transport filter process failed (3)"},
		{argv: []string{"/no/such"}, err: "transport filter process failed (127): unable to execute command"},
		{argv: []string{"/bin/sh", "-c", "exec sleep 60"}, timeout: 50 * time.Millisecond, err: "transport filter timeout while writing to pipe"},
	} {
		if c.timeout == 0 {
			c.timeout = time.Minute
		}
		m.Filter = &Filter{Argv: c.argv, Timeout: c.timeout}
		var got bytes.Buffer
		_, err := m.WriteTo(context.Background(), &got, DotStuff)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%q: %v, want %q", c.argv, err, c.err)
			}
			continue
		}
		if err != nil || got.String() != c.want {
			t.Errorf("%q: %q, %v; want %q", c.argv, got.String(), err, c.want)
		}
	}
}

func TestSplitCommand(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"/bin/echo", "/bin/echo"}, {"  a  b\tc\n", "a|b|c"}, {`a "b c" 'd "e'`, `a|b c|d "e`}, {`a "b\"c\\d\n"`, "a|b\"c\\d\n"},
		{`/bin/echo a 'b c' "d\"e"`, `/bin/echo|a|b c|d"e`}, {`a "unclosed`, "a|unclosed"}, {`a 'unclosed`, "a|unclosed"}, {`a ""`, "a|"},
	} {
		if got := strings.Join(SplitCommand(c.in), "|"); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestSplitList(t *testing.T) {
	for _, c := range []struct {
		in   string
		sep  byte
		want string
	}{
		{"a:b : c", ':', "a|b|c"}, {"a::b:c", ':', "a:b|c"}, {"<; a:b ; c", ':', "a:b|c"}, {"", ':', ""}, {"X: y\nZ: w", '\n', "X: y|Z: w"},
		{"X: y\n\n more\nZ: w", '\n', "X: y\n more|Z: w"}, {" : a", ':', "a"},
	} {
		if got := strings.Join(SplitList(c.in, c.sep), "|"); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzSplitCommand(f *testing.F) {
	f.Add(`a "b c" 'd`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, a := range SplitCommand(s) {
			if len(a) > len(s) {
				t.Errorf("argument %q longer than %q", a, s)
			}
		}
	})
}

func BenchmarkWriteToDotStuff(b *testing.B) {
	m := &Message{Header: []byte("A: b\n"), Body: bodyFile(b, strings.Repeat("a line of some length, as they are\n", 1000))}
	b.SetBytes(m.Size())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.WriteTo(context.Background(), io.Discard, DotStuff); err != nil {
			b.Fatal(err)
		}
	}
}
