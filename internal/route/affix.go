package route

import "strings"

// affixes takes prefix and suffix off the local part and names the one that keeps the router from being run; "" if none does.
func (r *Run) affixes() (lacking string) {
	a, g := r.Address, r.Router.Generic
	a.Prefix, a.PrefixV, a.Suffix, a.SuffixV = "", "", "", ""
	if g.Prefix != nil {
		n, variable, ok := matchPrefix(g.Prefix, a.LocalPart)
		if !ok && !g.PrefixOptional {
			return "prefix"
		}
		if ok {
			a.Prefix, a.PrefixV, a.LocalPart = a.LocalPart[:n], variable, a.LocalPart[n:]
			r.traceStripped("prefix", a.Prefix)
		}
	}
	if g.Suffix != nil {
		n, variable, ok := matchSuffix(g.Suffix, a.LocalPart)
		if !ok && !g.SuffixOptional {
			return "suffix"
		}
		if ok {
			cut := len(a.LocalPart) - n
			a.Suffix, a.SuffixV, a.LocalPart = a.LocalPart[cut:], variable, a.LocalPart[:cut]
			r.traceStripped("suffix", a.Suffix)
		}
	}
	return ""
}

// matchPrefix finds the first of the prefixes that the local part begins with and returns its length and what a leading
// asterisk matched, which is the longest possible text. Case does not count.
func matchPrefix(prefixes []string, local string) (n int, variable string, ok bool) {
	folded := lower(local)
	for _, p := range prefixes {
		p = lower(p)
		if rest, wild := strings.CutPrefix(p, "*"); wild {
			if i := strings.LastIndex(folded, rest); i >= 0 {
				return i + len(rest), local[:i], true
			}
		} else if strings.HasPrefix(folded, p) {
			return len(p), "", true
		}
	}
	return 0, "", false
}

// matchSuffix is matchPrefix for the other end, with the asterisk at the end of the suffix.
func matchSuffix(suffixes []string, local string) (n int, variable string, ok bool) {
	folded := lower(local)
	for _, p := range suffixes {
		p = lower(p)
		if rest, wild := strings.CutSuffix(p, "*"); wild {
			if i := strings.Index(folded, rest); i >= 0 {
				return len(local) - i, local[i+len(rest):], true
			}
		} else if strings.HasSuffix(folded, p) {
			return len(p), "", true
		}
	}
	return 0, "", false
}
