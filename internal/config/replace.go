package config

// ReplaceMacros replaces macros in a text as it is done in lines of the file (spec 5, -be).
func (c *Config) ReplaceMacros(text string) string {
	var builtin, defined []Macro
	for _, m := range c.Macros {
		if m.Builtin {
			builtin = append(builtin, m)
		} else {
			defined = append(defined, m)
		}
	}
	t := newMacroTable(builtin, nil)
	t.defined = defined
	out, _ := t.expand(text, true)
	return out
}
