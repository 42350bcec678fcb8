package expand_test

import (
	"context"
	"fmt"
	"testing"

	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

func benchScope(b testing.TB) *expand.Scope {
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

func BenchmarkParse(b *testing.B) {
	s := benchScope(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() { // a text that comes once is parsed
		n++
		if _, err := s.Engine.Expand(s, fmt.Sprintf("%d ${if eq{$domain}{mail.example}{${lc:$local_part}}{no}}", n)); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAllocations: a text that was seen before and has no lookups is evaluated with at most two allocations.
func TestAllocations(t *testing.T) {
	s := benchScope(t)
	for _, text := range []string{
		"$domain", "${local_part}@$domain", "$sender_address_domain", "/var/mail/$domain/$local_part", "${lc:$local_part}@${uc:$domain}",
		"${if eq{$domain}{mail.example}{yes}{no}}", "${if and{{eq{$domain}{mail.example}}{def:local_part}}{$local_part}{no}}",
		"${if match{$domain}{^mail\\.}{yes}{no}}", "${if match{$domain}{^([a-z]+)\\.}{$1}{no}}", "${extract{1}{.}{$domain}}", "${length_3:$domain}",
		"${filter{a:b:c}{!eq{$item}{b}}}", "${reduce{3:0:9:4}{0}{${if >{$item}{$value}{$item}{$value}}}}", "${listextract{2}{x:42:99}}", "${listcount:a:b:$domain}",
		"${if inlist{b}{a:b:c}{$value}{no}}", "${if forany{a:b}{eq{$item}{b}}{y}{n}}", "${eval:1+2*3}", "${if or{{eq{$domain}{x}}{bool{yes}}}{$local_part}}", "${quote:$local_part}",
		"${substr{0}{4}{$domain}}", "${if >{5}{3}{$domain}}", "/var/mail/${lc:$domain}/${extract{1}{-}{$local_part}{$value}fail}",
	} {
		evaluate := func() {
			if _, err := s.Engine.Expand(s, text); err != nil {
				t.Fatal(err)
			}
		}
		evaluate()
		evaluate()
		if n := testing.AllocsPerRun(50, evaluate); n > 2 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

// Texts that come once, as the lines of -be do: nothing is kept of them.
func BenchmarkFresh(b *testing.B) {
	for name, format := range map[string]string{
		"lc":    "${lc:Some.User%d@EXAMPLE.Test} ${uc:abc} ${length_3:abcdef}",
		"match": `${if match{user%d@example.test}{^([a-z]+)([0-9]+)@(.*)\$}{<$1> <$2> <$3>}{no}}`,
		"mixed": "${if and{{eq{${domain:u%d@a.test}}{a.test}}{>{7}{5}}}{${sg{x-y-y}{-}{+}}}{${substr_1_2:abcdef}}}",
	} {
		b.Run(name, func(b *testing.B) {
			s := benchScope(b)
			lines := make([]string, 1<<14)
			for i := range lines {
				lines[i] = fmt.Sprintf(format, i)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				if _, err := s.Engine.Expand(s, lines[n%len(lines)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
