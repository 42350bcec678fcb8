package expand_test

import (
	"context"
	"testing"

	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

func benchScope(b *testing.B) *expand.Scope {
	e, err := expand.New(&outside.World{}, builtin.Words(), expand.Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	m := &mail.Message{Session: &mail.Session{}, Sender: "a@b.example"}
	s := e.NewScope(context.Background(), nil, m.Session, m)
	s.Address = &mail.Address{LocalPart: "postmaster", Domain: "mail.example"}
	return s
}

func benchmark(b *testing.B, text string) {
	s := benchScope(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Engine.Expand(s, text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTwoVariables(b *testing.B) { benchmark(b, "${local_part}@$domain") }
func BenchmarkIf(b *testing.B)           { benchmark(b, "${if eq{$domain}{mail.example}{yes}{no}}") }
func BenchmarkPath(b *testing.B) {
	benchmark(b, "/var/mail/${lc:$domain}/${extract{1}{-}{$local_part}{$value}fail}")
}
