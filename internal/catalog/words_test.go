package catalog

import (
	"context"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"exigo/internal/expand"
	"exigo/internal/outside"
)

// waiting are words that are not known yet, each with the room that they wait for. The list must only become shorter: a word on it that
// is known is an error.
var waiting = []struct{ reason, words string }{
	{"no variables: a word of the documents' examples, one of pipe commands, one with a period in place of xxx", "etc pipe_addresses sender_rate_xxx"},
}

// TestWords asks for every item, operator, condition and variable of Exim's, from the specification and from what was added since.
func TestWords(t *testing.T) {
	data, err := os.ReadFile("testdata/words.tsv")
	if err != nil {
		t.Fatal(err)
	}
	engine, err := expand.New(outside.Real(), Default().words(), expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	late := map[string]bool{}
	for _, w := range waiting {
		for _, word := range strings.Fields(w.words) {
			late[word] = true
		}
	}
	unknown := regexp.MustCompile(`unknown (variable|expansion operator|condition|lookup type)|is not a known operator|not supported yet`)
	count := 0
	for line := range strings.Lines(string(data)) {
		kind, word, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if kind == "item" && strings.HasSuffix(word, "_") || word == "!" {
			continue // headers are names of variables to the parser; negation
		}
		text := map[string]string{"variable": "$" + word, "item": "${" + word + "{", "operator": "${" + word + ":x}", "condition": "${if " + word}[kind]
		problem := engine.Mistake(text)
		if kind == "operator" {
			if _, err := engine.Expand(engine.NewScope(context.Background(), nil, nil, nil), text); err != nil {
				problem = err.Error()
			}
		}
		switch known := !unknown.MatchString(problem); {
		case known && late[word]:
			t.Errorf("%s %s is known: take it off the list of those that wait", kind, word)
		case !known && !late[word]:
			t.Errorf("%s %s is not known: %s", kind, word, problem)
		}
		delete(late, word)
		count++
	}
	if len(late) > 0 || count < 400 {
		t.Errorf("%d words asked for; no words at all: %v", count, slices.Sorted(maps.Keys(late)))
	}
}
