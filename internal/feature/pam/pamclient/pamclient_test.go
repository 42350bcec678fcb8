package pamclient

import (
	"bytes"
	"context"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"exigo/internal/coprocess"
)

// TestMain makes the test itself exigo-pam: without arguments and with the variable it answers what it was asked.
func TestMain(m *testing.M) {
	if os.Getenv("PAMCLIENT_TEST") == "" {
		os.Exit(m.Run())
	}
	err := Serve(os.Stdin, os.Stdout, func(q *Request) Answer {
		if q.User == "die" {
			os.Exit(1)
		}
		if q.User == "problem" {
			return Answer{Problem: "cannot load it"}
		}
		return Answer{Code: len(q.Answers), Text: q.User + "@" + q.Service + q.Directory + ":" + strings.Join(q.Answers, ","), Delay: time.Second}
	})
	if err != nil {
		os.Exit(76)
	}
}

func TestAsk(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := NewPool()
	defer p.Close()
	for _, c := range []struct {
		q    Request
		want Answer
		err  string
	}{
		{Request{Service: "exim", User: "ann", Answers: []string{"secret", ""}}, Answer{Code: 2, Text: "ann@exim:secret,", Delay: time.Second}, ""},
		{Request{Service: "exim", Directory: "/x", User: "\xff\n"}, Answer{Text: "\xff\n@exim/x:", Delay: time.Second}, ""},
		{Request{User: "die", Answers: []string{"secret"}}, Answer{}, "pamclient.test: EOF"},
		{Request{User: "problem"}, Answer{Problem: "cannot load it"}, "cannot load it"},
		{Request{User: "a\x00b", Answers: []string{"secret"}}, Answer{Problem: "the request does not fit"}, "the request does not fit"},
		{Request{User: strings.Repeat("x", 2*maxFrame)}, Answer{}, "pamclient.test: frame too long"},
	} {
		got, err := p.Ask(context.Background(), self, []string{"PAMCLIENT_TEST=1"}, &c.q)
		if !reflect.DeepEqual(got, c.want) || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%.50q: %+v, %v", c.q.User, got, err)
		}
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		q    Request
		want bool
	}{
		{Request{}, true},
		{Request{User: strings.Repeat("x", MaxText-3)}, true},
		{Request{User: strings.Repeat("x", MaxText-2)}, false},
		{Request{Answers: make([]string, MaxText-3)}, true},
		{Request{Answers: make([]string, MaxText)}, false},
		{Request{User: "a\x00"}, false},
		{Request{Answers: []string{"a", "\x00"}}, false},
	} {
		if got := c.q.Fits(); got != c.want {
			t.Errorf("%d bytes, %d answers: %v", len(c.q.User), len(c.q.Answers), got)
		}
		if data, err := encoded(&c.q); c.want && err != nil {
			t.Errorf("what fits is no frame: %d, %v", len(data), err)
		}
	}
}

func encoded(v any) ([]byte, error) {
	var b bytes.Buffer
	err := coprocess.WriteValue(&b, v, maxFrame)
	return b.Bytes(), err
}

// FuzzServe: whatever comes, the process answers each request that it understands with one frame, or ends; what reaches the library is bounded and
// has no NULs.
func FuzzServe(f *testing.F) {
	one, _ := encoded(&Request{Service: "exim", User: "ann", Answers: []string{"secret", ""}})
	two, _ := encoded(&Request{User: "a\x00"})
	f.Add(append(one, two...))
	f.Add([]byte("\x00\x00\x00\x05\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		asked, out := 0, bytes.Buffer{}
		_ = Serve(bytes.NewReader(data), &out, func(q *Request) Answer {
			asked++
			if !q.Fits() {
				t.Error("a request that does not fit")
			}
			return Answer{Code: 1}
		})
		for ; out.Len() > 0; asked-- {
			var a Answer
			if err := coprocess.ReadValue(&out, &a, maxFrame); err != nil {
				t.Fatal(err)
			}
			if a.Problem != "" {
				asked++
			}
		}
		if asked != 0 {
			t.Errorf("%d requests without answer", asked)
		}
	})
}

// FuzzAnswer: the program reads whatever a process says, or gives it up.
func FuzzAnswer(f *testing.F) {
	one, _ := encoded(&Answer{Code: 7, Text: "Authentication failure", Delay: time.Second})
	f.Add(one)
	f.Fuzz(func(t *testing.T, data []byte) {
		var a Answer
		if err := coprocess.ReadValue(bytes.NewReader(data), &a, maxFrame); err == nil {
			again, err := encoded(&a)
			var b Answer
			if err != nil || coprocess.ReadValue(bytes.NewReader(again), &b, maxFrame) != nil || a != b {
				t.Errorf("%+v became %+v", a, b)
			}
		} else if err == io.EOF && len(data) > 0 {
			t.Error("an end that is none")
		}
	})
}
