package config

import (
	"errors"
	"fmt"
	"strings"

	"exigo/internal/option"
)

// instances reads a section of driver instances (spec 6.23).
func (r *reader) instances(kind Kind, to *[]*Instance) (next string, err error) {
	var open *Instance
	for {
		line, begin, ok, err := r.line()
		if err != nil {
			return "", err
		}
		if !ok || begin != "" {
			return begin, r.complete(open)
		}
		if definitionHead(line) > 0 {
			if err = r.complete(open); err == nil {
				err = r.macros.define(line, r.fail)
			}
			open = nil
		} else if name, rest, starts := instanceName(line); starts {
			if err = r.complete(open); err == nil {
				open, err = r.begin(kind, *to, name, rest)
				*to = append(*to, open)
			}
		} else if open == nil {
			err = r.fail(kind.String() + " name missing")
		} else {
			err = r.instanceLine(open, line)
		}
		if err != nil {
			return "", err
		}
	}
}

// instanceName recognises "name:".
func instanceName(line string) (name, rest string, ok bool) {
	if !isLetter(line[0]) {
		return "", "", false
	}
	name = takeName(line)
	rest, ok = strings.CutPrefix(strings.TrimLeft(line[len(name):], spaces), ":")
	return name, strings.TrimLeft(rest, spaces), ok
}

func (r *reader) begin(kind Kind, earlier []*Instance, name, rest string) (*Instance, error) {
	if len(name) > maxName {
		return nil, r.fail(fmt.Sprintf("exim item name too long (>%d), unable to use \"%s\" (truncated)", maxName, name[:maxName-1]))
	}
	if rest != "" {
		return nil, r.fail("extra characters follow driver name " + name)
	}
	for _, i := range earlier {
		if i.Name == name {
			return nil, &Error{Text: fmt.Sprintf("there are two %ss called \"%s\"", kind, name)}
		}
	}
	i := &Instance{Name: name, Kind: kind, Options: option.Bag{}, Set: map[string]bool{}, File: r.at.File, Line: r.at.Line, raw: map[string]setting{}}
	for _, set := range r.words.sets[kind.GenericScope()] {
		i.Options.Add(set)
	}
	return i, nil
}

// instanceLine obeys an option of a driver instance.
func (r *reader) instanceLine(i *Instance, line string) error {
	t := settingTarget{options: r.words.options[i.Kind.GenericScope()], bag: i.Options, set: i.raw, scope: i.Kind.GenericScope()}
	if i.driver != nil {
		t.private = i.Kind.PrivateScope(i.Driver)
		t.fallback = r.words.options[t.private]
	}
	t.unknown = func(name string) string {
		if name == "" {
			return "unexpected end of line (data missing) after "
		}
		if i.driver == nil {
			return fmt.Sprintf("option \"%s\" unknown (\"driver\" must be specified before any private options)", name)
		}
		return fmt.Sprintf("option \"%s\" unknown", name)
	}
	if err := r.setting(line, t); err != nil {
		return err
	}
	if d, given := i.raw["driver"]; given && i.driver == nil {
		return r.choose(i, d.text)
	}
	return nil
}

// choose makes the instance one of the named driver.
func (r *reader) choose(i *Instance, driver string) error {
	d := r.words.drivers[i.Kind][driver]
	if d == nil {
		return r.fail(fmt.Sprintf("%s %s: cannot find %s driver \"%s\"", i.Kind, i.Name, i.Kind, driver))
	}
	i.Driver, i.driver = driver, d
	if err := r.words.private(d); err != nil {
		return err
	}
	for _, set := range r.words.sets[i.Kind.PrivateScope(driver)] {
		i.Options.Add(set)
	}
	return nil
}

// complete ends an instance: its driver looks whether the options fit together.
func (r *reader) complete(i *Instance) error {
	if i == nil {
		return nil
	}
	if i.driver == nil {
		return &Error{Text: fmt.Sprintf("no driver defined for %s \"%s\"", i.Kind, i.Name)}
	}
	for name := range i.raw {
		i.Set[name] = true
	}
	if i.driver.Check == nil {
		return nil
	}
	err := i.driver.Check(i)
	var mistake *Error
	if err == nil || errors.As(err, &mistake) {
		return err
	}
	return &Error{For: i.Name + " " + i.Kind.String(), Text: err.Error()}
}

// At returns the place where the instance sets the option; its Line is 0 where it does not.
func (i *Instance) At(name string) Line { return i.raw[name].line }

// Texts returns what the instance sets the options of the names to, as the file has it, for those that it sets.
func (i *Instance) Texts(names ...string) []string {
	var out []string
	for _, name := range names {
		if s, ok := i.raw[name]; ok {
			out = append(out, s.text)
		}
	}
	return out
}
