package config

import (
	"fmt"
	"slices"
	"strings"

	"exigo/internal/option"
)

// settingTarget is where the options of a line go.
type settingTarget struct {
	options map[string]*word
	// fallback is a second table (the driver's own options).
	fallback map[string]*word
	bag      option.Bag
	set      map[string]setting
	scope    option.Scope
	// private is the scope of fallback.
	private option.Scope
	unknown func(name string) string
}

// maxName is the longest name of an option or driver instance.
const maxName = 64

// setting obeys one line "name = value" (spec 6.11 to 6.19).
func (r *reader) setting(line string, t settingTarget) error {
	hide := false
	if rest, ok := cutWord(line, "hide"); ok {
		line, hide = rest, true
	}
	if line != "" && !isLetter(line[0]) {
		return r.fail("option setting expected: " + line)
	}
	name := takeName(line)
	rest := strings.TrimLeft(line[len(name):], spaces)
	w, negated := t.find(name)
	if w == nil {
		if known(t, name) {
			return r.fail(fmt.Sprintf("option \"%s\" is not supported yet", name))
		}
		return r.fail(t.unknown(name[:min(len(name), maxName-1)]))
	}
	before, again := t.set[w.description.Name]
	again = again && !before.alias
	if again && w.description.Repeat == option.Once {
		return r.fail(fmt.Sprintf("\"%s\" option set for the second time", name))
	}
	target := w
	if w.alias != nil {
		target = w.alias
	}
	settings := t.bag.Add(target.set)
	field, ok := target.set.Field(settings, target.description.Name)
	if !ok {
		return r.fail(t.unknown(name))
	}
	text, err := r.read(field, name, rest, negated, before.text, again, w.description.Repeat)
	if err != nil {
		return r.fail(err.Error())
	}
	place := Line{Text: line, File: r.at.File, Line: r.at.Line}
	t.set[w.description.Name] = setting{text: text, line: place}
	if w.alias != nil {
		t.set[target.description.Name] = setting{text: text, line: place, alias: true}
	}
	if hide || w.description.Secure {
		r.cfg.hidden[hideKey{target.scope, target.description.Name}] = true
	}
	return nil
}

// read sets the field and returns the text kept for -bP: that of all settings of a repeated option joined.
func (r *reader) read(field any, name, rest string, negated bool, before string, again bool, repeat option.Repeat) (string, error) {
	text, err := setValue(field, name, rest, negated)
	if err != nil {
		return "", err
	}
	if again {
		text = join(field, before, text, repeat)
		if err := setText(field, name, text); err != nil {
			return "", err
		}
	}
	return text, r.resolve(field, text)
}

// join puts a repeated setting after the ones before it.
func join(field any, before, text string, repeat option.Repeat) string {
	switch repeat {
	case option.JoinColon:
		return colonList(before) + ":" + colonList(text)
	case option.JoinNewline:
		return before + "\n" + text
	}
	if _, ok := field.(*option.Expanded); ok {
		return "${if and{{bool_lax{" + before + "}}{bool_lax{" + text + "}}}}"
	}
	return before + ";" + text
}

// colonList writes a list with colons, whatever separated its items; empty items are left out.
func colonList(text string) string {
	items := slices.DeleteFunc(option.SplitList(text), func(item string) bool { return item == "" })
	for i := range items {
		items[i] = strings.ReplaceAll(items[i], ":", "::")
	}
	return strings.Join(items, ":")
}

// find returns the option with the name, or the boolean that a name with no_ or not_ negates.
func (t *settingTarget) find(name string) (w *word, negated bool) {
	for _, table := range [...]map[string]*word{t.options, t.fallback} {
		if w := table[name]; w != nil {
			return w, false
		}
	}
	for _, prefix := range [...]string{"no_", "not_"} {
		if plain, ok := strings.CutPrefix(name, prefix); ok {
			for _, table := range [...]map[string]*word{t.options, t.fallback} {
				if w := table[plain]; w != nil {
					return w, true
				}
			}
		}
	}
	return nil, false
}

// word is an option that may stand in some scope.
type word struct {
	set         option.Set
	scope       option.Scope
	description *option.Description
	alias       *word // the option this is an older name of
}

// words are the tables of a registry, ready for reading.
type words struct {
	options map[option.Scope]map[string]*word
	sets    map[option.Scope][]option.Set
	drivers [kinds]map[string]*Driver
	sorted  map[*Driver]bool // those whose own options are in the tables
}

// private sees to the tables of a driver's own options: most configurations use few of the drivers that there are.
func (w *words) private(d *Driver) error {
	if w.sorted[d] {
		return nil
	}
	w.sorted[d] = true
	scope := d.Kind.PrivateScope(d.Name)
	for _, set := range d.Options {
		if set == nil {
			continue
		}
		if err := w.add(scope, set); err != nil {
			return err
		}
	}
	return nil
}

// Check says which option is declared twice in a registry, or is an alias of none: mistakes of the program.
func (r *Registry) Check() error {
	w, err := newWords(r)
	for i := 0; err == nil && i < len(r.Drivers); i++ {
		err = w.private(&r.Drivers[i])
	}
	return err
}

// newWords sorts the registry; drivers' own options are sorted when one is chosen. An option that is declared twice is a mistake of the program.
func newWords(registry *Registry) (*words, error) {
	w := &words{options: map[option.Scope]map[string]*word{}, sets: map[option.Scope][]option.Set{}, sorted: map[*Driver]bool{}}
	for _, set := range registry.Sets {
		if err := w.add(set.At(), set); err != nil {
			return nil, err
		}
	}
	for k := range w.drivers {
		w.drivers[k] = map[string]*Driver{}
		if err := w.addDriverRow(Kind(k)); err != nil {
			return nil, err
		}
	}
	for i := range registry.Drivers {
		d := &registry.Drivers[i]
		w.drivers[d.Kind][d.Name] = d
	}
	return w, nil
}

// driverName holds the one generic option that the reader itself obeys.
type driverName struct{ Driver string }

// addDriverRow adds "driver" to the generic options of a kind that do not have it.
func (w *words) addDriverRow(k Kind) error {
	if w.options[k.GenericScope()]["driver"] != nil {
		return nil
	}
	return w.add(k.GenericScope(), option.Table[driverName]{Scope: k.GenericScope(), Rows: []option.Row[driverName]{
		{Name: "driver", Field: func(d *driverName) any { return &d.Driver }, Doc: "The kind of driver that this instance is of; must be set."},
	}})
}

func (w *words) add(scope option.Scope, set option.Set) error {
	rows := set.Describe()
	table := w.options[scope]
	if table == nil {
		table = make(map[string]*word, len(rows))
		w.options[scope] = table
	}
	list := make([]word, len(rows))
	for i := range rows {
		d := &rows[i]
		if table[d.Name] != nil {
			return fmt.Errorf("option %q is declared twice at %s", d.Name, scope)
		}
		list[i] = word{set: set, scope: scope, description: d}
		table[d.Name] = &list[i]
	}
	for _, d := range rows {
		if d.AliasOf == "" {
			continue
		}
		if table[d.Name].alias = table[d.AliasOf]; table[d.AliasOf] == nil {
			return fmt.Errorf("option %q at %s is an alias of unknown %q", d.Name, scope, d.AliasOf)
		}
	}
	w.sets[scope] = append(w.sets[scope], set)
	return nil
}
