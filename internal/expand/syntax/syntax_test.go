package syntax

import (
	"fmt"
	"strings"
	"testing"
)

// testWords is a small language: variables of small letters other than z, and one word of each form.
type testWords struct{}

func (testWords) Variable(name string) (any, string) {
	if strings.HasPrefix(name, "z") || strings.ContainsAny(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		return nil, ""
	}
	if note := UnknownACLVariable(name); note != "" {
		return nil, note
	}
	return name, ""
}

func (testWords) Item(name string) (any, Shape, bool) {
	s, ok := map[string]Shape{
		"if": {Form: FormIf}, "lookup": {Form: FormLookup}, "extract": {Form: FormExtract}, "run": {Form: FormRun}, "filter": {Form: FormFilter},
		"map": {Form: FormMap, Min: 2}, "reduce": {Form: FormMap, Min: 3}, "sort": {Form: FormSort}, "sg": {Form: FormArgs, Min: 3, Max: 3},
		"env": {Form: FormNamedArgs, Min: 1, ArgNames: []string{""}}, "readsocket": {Form: FormSocket, Min: 2, Max: 5}, "room": {Form: FormArgs, Min: 1, Max: 2, YesNo: true},
	}[name]
	return name, s, ok
}

func (testWords) Operator(text string) (any, string, string, bool) {
	name, argument, _ := strings.Cut(text, "_")
	return name, name, argument, name == "lc" || name == "substr"
}

func (testWords) Condition(name string) (any, Shape, bool) {
	s, ok := map[string]Shape{
		"eq": {Form: FormPair, Min: 2, Max: 2}, "and": {Form: FormGroup}, "or": {Form: FormGroup}, "def": {Form: FormDef}, "forany": {Form: FormForEach},
		"bare": {Form: FormBare}, "acl": {Form: FormWrapped, Min: 1, Max: 9}, "match_domain": {Form: FormList, Min: 2, Max: 2}, "=": {Form: FormPair, Min: 2, Max: 2},
		"srs": {Form: FormArguments, Min: 2, Max: 2}, "isip": {Form: FormPair, Min: 1, Max: 1},
	}[name]
	return name, s, ok
}

// show writes a tree in one line.
func show(n any) string {
	switch n := n.(type) {
	case *Text:
		if n == nil {
			return "-"
		}
		var parts []string
		for _, p := range n.Parts {
			parts = append(parts, show(p))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case *Literal:
		return fmt.Sprintf("%q", n.S)
	case *Variable:
		return "$" + n.Name
	case *Number:
		return fmt.Sprint("$", n.N)
	case *Header:
		return fmt.Sprintf("$%c_%s:", n.Kind, n.Name)
	case *Operator:
		return n.Name + "(" + n.Argument + show(n.Subject) + ")"
	case *Bad:
		return "BAD(" + n.Text + ")"
	case *Condition:
		text := n.Name
		if n.Negate {
			text = "!" + text
		}
		for _, a := range n.Args {
			text += show(a)
		}
		for _, c := range n.Sub {
			text += "{" + show(c) + "}"
		}
		if n.Variable != nil {
			text += show(n.Variable)
		}
		if n.Header != nil {
			text += show(n.Header)
		}
		return text
	case *Item:
		text := n.Name + "<" + n.Option
		if n.Test != nil {
			text += show(n.Test)
		}
		if n.Key != nil {
			text += "key" + show(n.Key)
		}
		for _, a := range n.Args {
			text += show(a)
		}
		if n.Yes != nil {
			text += " yes" + show(n.Yes) + " no" + show(n.No)
		}
		if n.Fail {
			text += " fail"
		}
		return text + ">"
	}
	return "?"
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "[]",
		`a\n\x41\101\q\\`:                 `["a\nAAq\\"]`,
		`\Na$b}\N$c`:                      `["a$b}" $c]`,
		`$a${b}c$1${23}$$`:                `[$a $b "c" $1 $23 BAD($ not followed by letter, digit, or {)]`,
		`$h_a-b:c$rh_x y`:                 `[$h_a-b: "c" $r_x: " y"]`,
		`${lc:a{b\}$c}d}`:                 `[lc(["a{b}" $c]) "d}"]`,
		`${substr_-1_2:a}`:                `[substr(-1_2["a"])]`,
		`${if !eq{a}{$b}{c}fail}`:         `[if<!eq["a"][$b] yes["c"] no- fail>]`,
		`${if and{{eq{a}{b}}{bare}}{y}}`:  `[if<and{eq["a"]["b"]}{bare} yes["y"] no->]`,
		`${if def:a{1}{2}}`:               `[if<def$a yes["1"] no["2"]>]`,
		`${if def:h_x-y:{1}{2}}`:          `[if<def$h_x-y: yes["1"] no["2"]>]`,
		`${if match_domain{$a}{$b\:c}{}}`: `[if<match_domain[$a]["$b:c"] yes[] no->]`,
		`${if acl{{a} {b}} }`:             `[if<acl["a"]["b"]>]`,
		`${lookup{k}x,y{f}{$v}{n}}`:       `[lookup<x,ykey["k"]["f"] yes[$v] no["n"]>]`,
		`${lookup x{q}}`:                  `[lookup<x["q"]>]`,
		`${extract{1}{:}{a}{b}}`:          `[extract<["1"][":"]["a"] yes["b"] no->]`,
		`${extract{k}{a}{b}{c}}`:          `[extract<["k"]["a"] yes["b"] no["c"]>]`,
		`${extract{$k}{a}{b}{c}}`:         `[extract<[$k]["a"]["b"]["c"]>]`,
		`${extract jsons{1}{a}}`:          `[extract<jsons["1"]["a"]>]`,
		`${filter{a}{eq{$i}{b}}}`:         `[filter<eq[$i]["b"]["a"]>]`,
		`${reduce{a}{b}{c}}`:              `[reduce<["a"]["b"]["c"]>]`,
		`${run,preexpand{a $b}{y}}`:       `[run<preexpand["a " $b] yes["y"] no->]`,
		`${room{a}{b}{c}{d}}`:             `[room<["a"]["b"] yes["c"] no["d"]>]`,
		// Mistakes: what stands before them is there.
		`a$zz b`:                 `["a" BAD(unknown variable name "zz")]`,
		`${zz}`:                  `[BAD(unknown variable in "${zz}")]`,
		`${acl_x}`:               `[BAD(unknown variable in "${acl_x}" (user-defined ACL variables must start acl_c or acl_m))]`,
		`${lc:$a`:                `[lc([$a BAD(missing } at end of string)])]`,
		`${nop:$a}`:              `[nop([$a])]`,
		`${if eq{$a}{${lc:$zz}}`: `[if<eq[$a][lc([BAD(unknown variable name "zz")])]>]`,
		`${sg{$a}{b}}x`:          `[sg<[$a]["b"]>]`,
	} {
		got := show(Parse(text, testWords{}))
		if got != want {
			t.Errorf("%s\n got  %s\n want %s", text, got, want)
		}
	}
}

func TestDepth(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("${lc:", 100000), strings.Repeat("${if eq{", 100000), "${if " + strings.Repeat("and{{", 100000),
		"${if " + strings.Repeat("!", 100000), strings.Repeat("${lookup{", 100000), strings.Repeat("${filter{", 1000) + strings.Repeat("x", 1000),
	} {
		if Mistake(text, testWords{}) == "" {
			t.Errorf("%.20s... is accepted", text)
		}
	}
	if m := Mistake(strings.Repeat("${lc:", 100)+strings.Repeat("}", 100), testWords{}); m != "" {
		t.Error(m)
	}
}

// checkBad sees to it that a mistake is known to all nodes above it and that nothing follows it.
func checkBad(t *testing.T, text *Text) {
	for i, n := range text.Parts {
		var bad *Bad
		switch n := n.(type) {
		case *Bad:
			bad = n
		case *Operator:
			bad = n.Bad
			checkBad(t, n.Subject)
		case *Item:
			bad = n.Bad
			for _, a := range append(append([]*Text{}, n.Args...), n.Key, n.Yes, n.No) {
				if a != nil {
					checkBad(t, a)
					if a.Bad != nil && bad == nil {
						t.Errorf("%s hides a mistake", n.Name)
					}
				}
			}
		}
		if bad != nil && (text.Bad != bad || i != len(text.Parts)-1) {
			t.Errorf("the mistake %q is hidden or not the last", bad.Text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`${if and{{eq{$a}{b}}{!def:h_x:}}{${lc:$1}}fail}`, `${lookup{k}lsearch*@,ret=key{/f}{$value}{n}}`, `${extract{$a}{:}{b}{c}fail}`, `\Na\N\x4\101\`,
		`${filter{a}{eq{$i}{b}}}${reduce{a}{b}{c}}${sort{a}{<}{b}}`, `${run,preexpand{a "b c"}{y}{n}}`, `${readsocket{a}{b}{c}{d}{e}}`, `${room{a}{b}{c}fail}`, `$h_a{:`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tree := Parse(text, testWords{})
		checkBad(t, tree)
		if (tree.Bad != nil) != (Mistake(text, testWords{}) != "" || tree.Bad != nil && tree.Bad.Text == "") {
			t.Error("Parse and Mistake do not agree")
		}
		if !strings.ContainsAny(text, `$\`) && text != "" && show(tree) != fmt.Sprintf("[%q]", text) {
			t.Error("plain text is not itself:", show(tree))
		}
	})
}
