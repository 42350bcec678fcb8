package config

import "slices"

// MacroReader replaces and defines macros in lines that do not come from the file (spec 5, -be).
type MacroReader struct{ table macroTable }

// NewMacroReader makes a reader that knows the macros of the configuration.
func (c *Config) NewMacroReader() *MacroReader {
	r := &MacroReader{newMacroTable(c.predefined, nil)}
	r.table.defined = slices.Clone(c.Macros)
	return r
}

// Line replaces the macros of a line. A line "NAME = value" or "NAME == value" defines a macro instead, whose name is returned.
func (r *MacroReader) Line(text string) (out, defined string, err error) {
	text, _ = r.table.expand(text, false)
	if definitionHead(text) == 0 {
		return text, "", nil
	}
	if err := r.table.define(text, func(problem string) error { return &Error{Text: problem, Bare: true} }); err != nil {
		return "", "", err
	}
	return "", takeName(text), nil
}
