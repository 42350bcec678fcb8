package expand

import "fmt"

// Untrusted tells whether a value must not be used, since it is tainted (spec 11, "expansion of untrusted data"). format and args are the
// refusal in Exim's words; with allow_insecure_tainted_data that is a warning in the main log, and the value is used. Those who
// only test (-be, -bt, -bv) are told what to use instead.
func (s *Scope) Untrusted(v Value, format string, args ...any) bool {
	if !v.Tainted {
		return false
	}
	if s.Settings().AllowInsecureTaintedData {
		s.Log("Warning: "+format, args...)
		return false
	}
	s.advise(v.S, "What the configuration itself knows may be used instead: $local_part_data, $domain_data, the result of a lookup, ${lookup{NAME}dsearch{DIRECTORY}}")
	return true
}

// advise tells those who test what to use instead of a tainted value.
func (s *Scope) advise(value, instead string) {
	if s.Engine.Hooks.Advise != nil {
		s.Engine.Hooks.Advise(fmt.Sprintf("'%s' comes from outside (it is tainted). %s", value, instead))
	}
}
