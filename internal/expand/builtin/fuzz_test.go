package builtin

import (
	"context"
	"strings"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// FuzzExpand evaluates anything, with words that leave the process locked out.
func FuzzExpand(f *testing.F) {
	for _, q := range questions(f) {
		if !strings.Contains(q.text, "run") {
			f.Add(q.text)
		}
	}
	e := testEngine(f)
	m := &mail.Message{Session: &mail.Session{}, Headers: []mail.Header{mail.NewHeader("Subject: =?utf-8?q?a?= b\n")}, Sender: "a@b"}
	f.Fuzz(func(t *testing.T, text string) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		s := e.NewScope(ctx, nil, nil, m)
		for _, word := range []string{"run", "readfile", "readsocket", "exists", "perl"} {
			s.Extra["forbid_"+word] = expand.Value{S: "1"}
		}
		v, err := e.Expand(s, text)
		if err == nil && strings.Contains(v.S, "\x00") && !strings.Contains(text, "\x00") {
			t.Errorf("a zero byte came out of %q", text)
		}
	})
}
