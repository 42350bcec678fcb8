package config

import (
	"os"
	"strings"

	"exigo/internal/option"
	"exigo/internal/regex"
)

// Environment is the environment that the configuration leaves to the program and its children, as NAME=value: what
// keep_environment keeps, then what add_environment sets (spec 14, keep_environment).
func (c *Config) Environment() []string {
	m := option.Of[Main](c.Main)
	var out []string
	for _, v := range os.Environ() {
		name, _, ok := strings.Cut(v, "=")
		if ok && keeps(m.KeepEnvironment, name) {
			if value, set := c.world.Environment(name); set {
				out = append(out, name+"="+value)
			}
		}
	}
	for _, v := range m.AddEnvironment {
		name, _, _ := strings.Cut(v, "=")
		kept := out[:0]
		for _, o := range out {
			if !strings.HasPrefix(o, name+"=") {
				kept = append(kept, o)
			}
		}
		out = append(kept, v)
	}
	return out
}

// PurgeWarning is what Exim says when the environment is dropped without keep_environment having asked for it; "" when it
// need not.
func (c *Config) PurgeWarning() string {
	if c.IsSet("keep_environment") || len(os.Environ()) == 0 {
		return ""
	}
	return "Warning: purging the environment.\n Suggested action: use keep_environment."
}

// keeps tells whether a list of names and patterns (a star alone or in front, regular expressions after a circumflex, negation
// by an exclamation mark) holds the name.
func keeps(list []string, name string) bool {
	for _, item := range list {
		pattern, negated := strings.CutPrefix(item, "!")
		pattern = strings.TrimLeft(pattern, spaces)
		match := false
		switch {
		case strings.HasPrefix(pattern, "^"):
			re, err := regex.Compile(pattern, 0)
			if err == nil {
				match, _ = re.Test(name)
			}
		case strings.HasPrefix(pattern, "*"):
			match = strings.HasSuffix(name, pattern[1:])
		default:
			match = pattern == name
		}
		if match {
			return !negated
		}
	}
	return len(list) > 0 && strings.HasPrefix(list[len(list)-1], "!")
}
