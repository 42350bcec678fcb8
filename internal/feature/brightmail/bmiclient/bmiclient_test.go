package bmiclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// conversation sends requests to Serve and returns the answers.
func conversation(t *testing.T, l Library, send func(w io.Writer)) (answers []answer, err error) {
	t.Helper()
	var in, out bytes.Buffer
	send(&in)
	err = Serve(&in, &out, l)
	for out.Len() > 0 {
		var a answer
		if err := readValue(&out, &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	return answers, err
}

func TestServe(t *testing.T) {
	var got []string
	l := Library{
		Scan: func(m *Message, body io.Reader) ([]string, []string, error) {
			if m.Sender == "lazy" {
				return nil, nil, errors.New("does not read")
			}
			text, err := io.ReadAll(body)
			got = append(got, m.Sender, string(text))
			return []string{"v"}, []string{"w"}, err
		},
		Read: func(text string) (*Verdict, error) {
			if text == "bad" {
				return nil, &Failure{Location: 1, Type: 2, Text: "x"}
			}
			return &Verdict{Location: text}, nil
		},
		Fired: func(text string, rule int) (bool, error) { return rule == 7, nil },
	}
	long := strings.Repeat("y", 3*bodyFrame+1)
	answers, err := conversation(t, l, func(w io.Writer) {
		for _, m := range []struct{ sender, body string }{{"a", "text"}, {"lazy", long}, {"b", long}, {"c", ""}} {
			writeValue(w, &request{Scan: &Message{Sender: m.sender}})
			sendBody(w, strings.NewReader(m.body))
		}
		writeValue(w, &request{Verdict: "bad"})
		writeValue(w, &request{Verdict: "good"})
		writeValue(w, &request{Verdict: "good", AskRule: true, Rule: 7})
	})
	scanned := answer{Verdicts: []string{"v"}, Warnings: []string{"w"}}
	want := []answer{scanned, {Failure: &Failure{Text: "does not read"}}, scanned, scanned, {Failure: &Failure{Location: 1, Type: 2, Text: "x"}},
		{Verdict: &Verdict{Location: "good"}}, {Fired: true}}
	if err != nil || !reflect.DeepEqual(answers, want) || !reflect.DeepEqual(got, []string{"a", "text", "b", long, "c", ""}) {
		t.Errorf("%v\n%+v\n%.100q", err, answers, got)
	}
	for name, send := range map[string]func(w io.Writer){
		"half a frame":     func(w io.Writer) { io.WriteString(w, "\x00\x00\x00\x09abc") },
		"half a length":    func(w io.Writer) { io.WriteString(w, "\x00\x00") },
		"a giant":          func(w io.Writer) { io.WriteString(w, "\xff\xff\xff\xff") },
		"no value":         func(w io.Writer) { writeFrame(w, []byte("\xff\xff\xff")) },
		"a body's end":     func(w io.Writer) { writeValue(w, &request{Scan: &Message{}}); writeFrame(w, []byte("x")) },
		"an endless frame": func(w io.Writer) { writeValue(w, &request{Scan: &Message{Sender: "lazy"}}) },
	} {
		if _, err := conversation(t, l, send); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// failing is a body that cannot be read.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("unreadable") }

func TestSend(t *testing.T) {
	if err := sendBody(io.Discard, failing{}); err == nil {
		t.Error("an unreadable body was sent")
	}
	if err := writeFrame(io.Discard, make([]byte, maxFrame+1)); err == nil {
		t.Error("a frame that is too long was sent")
	}
}

// TestPool: "cat" sends each request back, which is no answer. "false" has none.
func TestPool(t *testing.T) {
	var p Pool
	defer p.Close()
	ctx := context.Background()
	if _, err := p.Read(ctx, "/bin/false", Setup{Libraries: []string{"x"}}, "v"); err == nil || !strings.HasPrefix(err.Error(), "false: ") {
		t.Errorf("%v", err)
	}
	if _, _, err := p.Scan(ctx, "/bin/cat", Setup{Version: "-"}, &Message{}, strings.NewReader("")); err == nil {
		t.Error("an echo is an answer")
	}
}

// FuzzServe: whatever comes, the process answers or ends.
func FuzzServe(f *testing.F) {
	var in bytes.Buffer
	writeValue(&in, &request{Scan: &Message{Sender: "a", Recipients: []Recipient{{"b", "c"}}}})
	sendBody(&in, strings.NewReader("text"))
	writeValue(&in, &request{Verdict: "v", AskRule: true, Rule: -1})
	f.Add(in.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		Serve(bytes.NewReader(data), io.Discard, Library{
			Scan: func(m *Message, body io.Reader) ([]string, []string, error) {
				_, err := io.Copy(io.Discard, body)
				return nil, nil, err
			},
			Read:  func(string) (*Verdict, error) { return nil, nil },
			Fired: func(string, int) (bool, error) { return false, nil },
		})
	})
}
