package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func read(text string) (Reply, error) { return Read(bufio.NewReaderSize(strings.NewReader(text), 16)) }

// TestRead has the examples of the protocol's specification.
func TestRead(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for in, want := range map[string]string{
		"+OK\r\n": "+OK", "-ERR unknown command 'asdf'\r\n": "-ERR unknown command 'asdf'", ":1000\r\n": ":1000", ":-1\r\n": ":-1", "$5\r\nhello\r\n": "$hello",
		"$0\r\n\r\n": "$", "$-1\r\n": "$null", "*0\r\n": "*[]", "*-1\r\n": "*null", "*2\r\n$5\r\nhello\r\n$5\r\nworld\r\n": "*[$hello $world]",
		"*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n$5\r\nhello\r\n": "*[:1 :2 :3 :4 $hello]", "*2\r\n*3\r\n:1\r\n:2\r\n:3\r\n*2\r\n+Hello\r\n-World\r\n": "*[*[:1 :2 :3] *[+Hello -World]]",
		"*3\r\n$5\r\nhello\r\n$-1\r\n$5\r\nworld\r\n": "*[$hello $null $world]", "$4\r\na\r\nb\r\n": "$a\r\nb", "+" + long + "\r\n": "+" + long,
		"": "EOF", "+OK": "unexpected EOF", "+OK\n": "a line of the reply does not end with CRLF", "\r\n": "an empty reply", "$5\r\nhel": "unexpected EOF", "$2\r\nabcd": "a bulk string does not end where it should",
		"$x\r\n": `malformed length in reply: "x"`, "$-2\r\n": `malformed length in reply: "-2"`, ":x\r\n": `malformed integer in reply: "x"`, "%1\r\n": `unknown type of reply: '%'`,
		"*2\r\n+a\r\n": "unexpected EOF", "$99999999999\r\n": "the reply is too large", "*99999999\r\n": "the reply is too large", strings.Repeat("*1\r\n", 100): "the reply is too large",
		"+" + strings.Repeat("x", maxLine): "the reply is too large", "$3\r\nabc": "unexpected EOF", "*1\r\n*300000\r\n": "the reply is too large",
	} {
		r, err := read(in)
		got := show(r)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.60q: %.200s, want %.200s", in, got, want)
		}
	}
}

func show(r Reply) string {
	switch {
	case r.Null:
		return string(r.Kind) + "null"
	case r.Kind == Array:
		var items []string
		for _, i := range r.Items {
			items = append(items, show(i))
		}
		return fmt.Sprint("*", items)
	}
	return string(r.Kind) + r.Text
}

func TestCommand(t *testing.T) {
	if got := string(Command([]string{"SET", "k", "a\r\nb", ""})); got != "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n$0\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "*2\r\n*1\r\n:1\r\n$-1\r\n", "$5\r\nhello\r\n", "*-1\r\n", "-MOVED 1 a:1\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r, err := read(in)
		if err == nil && r.Kind != Array && len(r.Text) > len(in) || errors.Is(err, io.ErrShortBuffer) {
			t.Errorf("%q: %v, %v", in, r, err)
		}
	})
}
