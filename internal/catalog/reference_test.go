package catalog

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
	"exigo/internal/lookup"
	"exigo/internal/option"
)

// TestReference: docs/reference is what the rows say. With -update it is written.
func TestReference(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "reference")
	c := Default()
	pages := map[string]string{
		"README.md":    "# Reference\n\nGenerated from the tables of the program by `go test ./internal/catalog -run TestReference -update`; do not edit.\nThe examples are run as tests.\n\n[expansions](expansion.md) · [ACLs](acl.md) · [options](options.md) · [lookups](lookups.md) · [log selectors](log.md)\n",
		"expansion.md": expansionPage(t, c), "acl.md": aclPage(c), "options.md": optionsPage(c), "lookups.md": lookupsPage(c), "log.md": logPage(),
	}
	for name, want := range pages {
		path := filepath.Join(dir, name)
		if *update {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is not what the rows say (%v): run go test ./internal/catalog -run TestReference -update", path, err)
		}
	}
}

// reference collects the entries of a page.
type reference struct{ strings.Builder }

func newReference(title string) *reference {
	p := &reference{}
	fmt.Fprintf(p, "# %s\n", title)
	return p
}

func (p *reference) section(title string) { fmt.Fprintf(p, "\n## %s\n\n", title) }

// entry writes one word: its form, what it is, and its examples.
func (p *reference) entry(form, doc string, examples []expand.Example) {
	fmt.Fprintf(p, "- %s — %s\n", code(form), strings.TrimSpace(doc))
	for _, e := range examples {
		switch {
		case e.Err != "":
			fmt.Fprintf(p, "  - %s fails: %s\n", code(e.In), code(e.Err))
		case e.Out == "":
			fmt.Fprintf(p, "  - %s → nothing\n", code(e.In))
		default:
			fmt.Fprintf(p, "  - %s → %s\n", code(e.In), code(e.Out))
		}
	}
}

// code makes a code span of a text; control characters are written as escapes.
func code(text string) string {
	text = strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(text)
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '·'
		}
		return r
	}, text)
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if len(fence) > 1 || strings.HasPrefix(text, " ") || strings.HasSuffix(text, " ") {
		return fence + " " + text + " " + fence
	}
	return fence + text + fence
}

func sorted[T any](rows []T, name func(T) string) []T {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b T) int { return cmp.Compare(name(a), name(b)) })
	return rows
}

func expansionPage(t *testing.T, c Catalog) string {
	w := c.words()
	p := newReference("The expansion language")
	p.section("Items")
	items := w.LazyItems
	for _, i := range w.Items {
		items = append(items, expand.LazyItem{Name: i.Name, Doc: i.Doc, Examples: i.Examples,
			Shape: syntax.Shape{Form: syntax.FormArgs, Min: i.Min, Max: i.Max, YesNo: i.YesNo}})
	}
	for _, i := range sorted(items, func(i expand.LazyItem) string { return i.Name }) {
		p.entry(itemForm(i.Name, i.Shape), i.Doc, i.Examples)
	}
	p.section("Operators")
	for _, o := range sorted(w.Operators, func(o expand.Operator) string { return o.Name }) {
		form := "${" + o.Name + ":text}"
		if o.Underscore {
			form = "${" + o.Name + "_argument:text}"
		}
		p.entry(form, o.Doc, o.Examples)
	}
	p.section("Conditions")
	conditions := w.LazyConditions
	for _, c := range w.Conditions {
		s := syntax.Shape{Form: syntax.FormPair, Min: c.Min, Max: c.Max}
		if c.Wrapped {
			s.Form = syntax.FormWrapped
		}
		conditions = append(conditions, expand.LazyCondition{Name: c.Name, Doc: c.Doc, Shape: s, Examples: c.Examples})
	}
	for _, c := range sorted(conditions, func(c expand.LazyCondition) string { return c.Name }) {
		p.entry(conditionForm(c.Name, c.Shape), c.Doc, c.Examples)
	}
	p.section("Variables")
	p.WriteString(sample + "\n\n")
	values := sampleValues(t, w.Variables)
	for _, v := range sorted(w.Variables, func(v expand.Variable) string { return v.Name }) {
		name := "$" + v.Name
		if v.Prefix {
			name += "..."
		}
		examples := v.Examples
		if value, ok := values[v.Name]; ok {
			examples = []expand.Example{value}
		}
		p.entry(name, v.Doc, examples)
	}
	return p.String()
}

// itemForm shows how an item is written.
func itemForm(name string, s syntax.Shape) string {
	branches := "{yes}{no}"
	switch s.Form {
	case syntax.FormIf:
		return "${" + name + " condition " + branches + "}"
	case syntax.FormLookup:
		return "${" + name + "{key}type{file}" + branches + "}, ${" + name + " type{query}" + branches + "}"
	case syntax.FormExtract:
		return "${" + name + "{key}{text}" + branches + "}, ${" + name + "{number}{separators}{text}" + branches + "}, ${" + name + " json{key}{text}" + branches + "}"
	case syntax.FormRun:
		return "${" + name + "{command arguments}" + branches + "}, ${" + name + ",preexpand{...}" + branches + "}"
	case syntax.FormFilter:
		return "${" + name + "{list}{condition}}"
	case syntax.FormMap:
		if s.Min == 3 {
			return "${" + name + "{list}{start}{text}}"
		}
		return "${" + name + "{list}{text}}"
	case syntax.FormSort:
		return "${" + name + "{list}{comparator}{text}}"
	case syntax.FormSocket:
		return "${" + name + "{name}{request}{options}{line end}{failure}}"
	case syntax.FormNamedArgs:
		return "${" + name + arguments(s.Min, s.Min) + branches + "}"
	}
	if !s.YesNo {
		branches = ""
	}
	return "${" + name + arguments(s.Min, s.Max) + branches + "}"
}

func conditionForm(name string, s syntax.Shape) string {
	switch s.Form {
	case syntax.FormBare:
		return name
	case syntax.FormDef:
		return name + ":variable"
	case syntax.FormGroup:
		return name + "{{condition}{condition}...}"
	case syntax.FormForEach:
		return name + "{list}{condition}"
	case syntax.FormWrapped:
		return name + "{" + arguments(s.Min, s.Max) + "}"
	case syntax.FormList:
		return name + "{text}{list}"
	}
	return name + arguments(s.Min, s.Max)
}

// arguments shows from least to most arguments.
func arguments(least, most int) string {
	var b strings.Builder
	for n := 1; n <= min(most, max(least, 4)); n++ {
		if n > least {
			fmt.Fprintf(&b, "[{%d}]", n)
		} else {
			fmt.Fprintf(&b, "{%d}", n)
		}
	}
	if most > max(least, 4) {
		b.WriteString("...")
	}
	return b.String()
}

func aclPage(c Catalog) string {
	p := newReference("ACLs")
	w := c.aclWords()
	rows := append(acl.Conditions(), w.Conditions...)
	for _, modifiers := range []bool{false, true} {
		p.section(map[bool]string{false: "Conditions", true: "Modifiers"}[modifiers])
		for _, r := range sorted(rows, func(r acl.Condition) string { return r.Name }) {
			if r.Modifier == modifiers && !r.Placeholder {
				p.entry(r.Name, r.Doc, nil)
			}
		}
	}
	p.section("Controls (control = ...)")
	for _, r := range sorted(append(acl.Controls(), w.Controls...), func(r acl.Control) string { return r.Name }) {
		if r.Options {
			r.Name += "/options"
		}
		p.entry(r.Name, r.Doc, nil)
	}
	p.section("Verifications (verify = ...)")
	for _, r := range sorted(w.Verify, func(r acl.Verification) string { return r.Name }) {
		p.entry(r.Name, r.Doc, nil)
	}
	return p.String()
}

func optionsPage(c Catalog) string {
	p := newReference("Options")
	r := c.Registry()
	at := func(title string, scope option.Scope, more ...option.Set) {
		var rows []option.Description
		for _, s := range r.Sets {
			if s.At() == scope {
				rows = append(rows, s.Describe()...)
			}
		}
		for _, s := range more {
			if s != nil {
				rows = append(rows, s.Describe()...)
			}
		}
		if len(rows) == 0 {
			return
		}
		p.section(title)
		for _, d := range sorted(rows, func(d option.Description) string { return d.Name }) {
			p.option(d)
		}
	}
	at("Main", config.ScopeMain)
	for k := config.Router; k <= config.Authenticator; k++ {
		at("All "+k.String()+"s", k.GenericScope())
		for _, d := range r.Drivers {
			if d.Kind == k {
				at(strings.ToUpper(k.String()[:1])+k.String()[1:]+" "+d.Name, k.PrivateScope(d.Name), d.Options...)
			}
		}
	}
	return p.String()
}

func (p *reference) option(d option.Description) {
	if d.AliasOf != "" {
		fmt.Fprintf(p, "- %s — another name of %s.\n", code(d.Name), code(d.AliasOf))
		return
	}
	kind := d.Type
	if d.Default != "" {
		kind += ", default " + code(d.Default)
	}
	fmt.Fprintf(p, "- %s (%s) — %s\n", code(d.Name), kind, strings.TrimSpace(d.Doc))
}

func lookupsPage(c Catalog) string {
	p := newReference("Lookups")
	list := slices.Clone(c.Lookups)
	for _, f := range c.Features {
		list = append(list, f.Lookups...)
	}
	for _, single := range []bool{true, false} {
		p.section(map[bool]string{true: "With a single key", false: "With a query"}[single])
		for _, d := range sorted(list, func(d *lookup.Driver) string { return d.Name }) {
			switch {
			case (d.Kind&lookup.SingleKey != 0) != single || strings.HasPrefix(d.Name, "testdb"):
			case single:
				p.entry("${lookup{key}"+d.Name+"{file}}", d.Doc, nil)
			default:
				p.entry("${lookup "+d.Name+"{query}}", d.Doc, nil)
			}
		}
	}
	return p.String()
}

func logPage() string {
	p := newReference("Log selectors")
	p.WriteString("\nThose marked with + are on by default.\n\n")
	for _, r := range eventlog.SelectorRows() {
		name := r.Name
		if r.Default {
			name = "+" + name
		}
		p.entry(name, r.Doc+".", nil)
	}
	return p.String()
}

// TestReferenceComplete: every row says in a sentence what it is, and every word has an example, but for variables about the machine.
func TestReferenceComplete(t *testing.T) {
	c := Default()
	for _, entry := range strings.Split(expansionPage(t, c), "\n- ")[1:] {
		name, _, _ := strings.Cut(entry, " — ")
		if !strings.Contains(entry, "\n  - ") && !slices.Contains(machine, strings.Trim(name, "`$")) {
			t.Errorf("there is no example of %s", entry)
		}
	}
	for _, text := range []string{expansionPage(t, c), aclPage(c), optionsPage(c), lookupsPage(c), logPage()} {
		for line := range strings.Lines(text) {
			if entry, doc, ok := strings.Cut(line, " — "); ok && strings.HasPrefix(entry, "- ") && len(strings.TrimSpace(doc)) < 5 {
				t.Errorf("no sentence says what %s is", strings.TrimPrefix(entry, "- "))
			}
		}
	}
}
