package differential

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// generated is how many expansions the grammar makes.
const generated = 6000

// longest is the length of a question; Exim takes longer lines apart.
const longest = 240

// TestGrammar asks about expansions made by a grammar. EXIGO_SEED=N repeats a run.
func TestGrammar(t *testing.T) {
	seed := uint64(20261122)
	if text := os.Getenv("EXIGO_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("EXIGO_SEED=%d", seed)
	g := &grammar{rand.New(rand.NewPCG(seed, 1))}
	questions := make([]string, generated)
	for i := range questions {
		text := ""
		for text == "" || len(text) > longest {
			if text = g.text(1 + g.IntN(3)); g.IntN(4) == 0 {
				text = g.damage(text)
			}
			if text = strings.Trim(text, " "); strings.HasSuffix(text, "\\") { // which would join the next line to this one
				text += "x"
			}
		}
		if text[0] >= 'A' && text[0] <= 'Z' { // Exim takes the line for the definition of a macro
			text = "-" + text
		}
		questions[i] = text
	}
	compare(t, questions)
}

// grammar makes expansions.
type grammar struct{ *rand.Rand }

func (g *grammar) pick(list ...string) string { return list[g.IntN(len(list))] }

// damage takes a character away, or puts one in, or changes one.
func (g *grammar) damage(text string) string {
	at := g.IntN(len(text) + 1)
	letter := g.pick("{", "}", "$", ":", " ", "\\", "a", "1", ",", "_", "-", "}}", "{{", "\\N", "fail", "!")
	end := min(len(text), at+g.IntN(3))
	return text[:at] + letter + text[end:]
}

// text is a string with expansions in it.
func (g *grammar) text(depth int) string {
	var b strings.Builder
	for range g.IntN(3) + 1 {
		if depth > 0 && g.IntN(5) > 0 {
			b.WriteString(g.expansion(depth - 1))
		} else {
			b.WriteString(g.literal())
		}
	}
	return b.String()
}

func (g *grammar) literal() string {
	return g.pick("a", "abc", "A b", "1", "42", "-7", "3k", "x:y:z", "", " ", "a@b.example", "10.1.2.3", "10.1.2.3/20", "::1", "2001:db8::7/64", "\\$",
		"\\x41", "\\}", "\\N{$\\N", "_", "=", "a=b c=d", "k=\"v w\"", "yes", "no", "false", "0", "<;p;q", "%", "\\n", "\\t", "\\101", "\\xe4", "\"", "'", "^a", "(.)",
		"1d2h", "=?utf-8?Q?x?=", "[1,2,\"z\"]", "\\{\"a\":1,\"b\":\"c\"\\}", "b", "B", ".", "/", "+5", "07")
}

// number is a literal that mostly is one.
func (g *grammar) number(depth int) string {
	if g.IntN(4) > 0 {
		return g.pick("0", "1", "2", "3", "-1", "-2", "10", "5k", " 4", "99", "+1")
	}
	return g.text(depth)
}

func (g *grammar) list(depth int) string {
	if g.IntN(3) > 0 {
		return g.pick("a:b:c", "<,3,1,2", "a::b", "<; x ; y;;z", ":", "a: :b", "", "10:9:8", "b:a:B:A", "<- -a", "<\\n a", "a:b:")
	}
	return g.text(depth)
}

func (g *grammar) arg(depth int) string { return "{" + g.text(depth) + "}" }

func (g *grammar) branches(depth int) string {
	switch g.IntN(6) {
	case 0:
		return ""
	case 1:
		return g.arg(depth)
	case 2:
		return g.arg(depth) + "fail"
	case 3:
		return " " + g.arg(depth) + " " + g.arg(depth) + " "
	}
	return g.arg(depth) + g.arg(depth)
}

func (g *grammar) expansion(depth int) string {
	switch g.IntN(12) {
	case 0:
		return g.pick("$item", "$primary_hostname", "${primary_hostname}", "$qualify_domain", "$h_subject:", "$1", "${2}", "$acl_m_x", "$acl_c0",
			"$message_size", "$rh_to:", "$domain", "$nosuch", "$tod_zzz", "${env{WORD}}", "${env{NONE}{y}{n}}", "$spool_directory", "$received_count", "$host_lookup_failed")
	case 1, 2, 3, 4:
		return g.operator(depth)
	case 5, 6, 7:
		return "${if " + g.condition(depth) + g.branches(depth) + "}"
	}
	return g.item(depth)
}

func (g *grammar) operator(depth int) string {
	name := g.pick("lc", "uc", "strlen", "length_2", "l_1", "substr_1_2", "s_-2_1", "substr_1", "hash_3", "h_2_5", "nhash_7", "nh_3_4", "md5", "sha1", "sha256",
		"sha3_224", "base32", "base62", "base32d", "base62d", "base64", "base64d", "str2b64", "hex2b64", "hexquote", "eval", "eval10", "address", "addresses",
		"domain", "local_part", "mask", "ipv6norm", "ipv6denorm", "reverse_ip", "quote", "quote_local_part", "rxquote", "escape", "escape8bit", "expand",
		"listcount", "listnamed", "listnamed_d", "rfc2047", "rfc2047d", "time_eval", "time_interval", "utf8clean", "nosuch", "lc_x", "length", "substr")
	subject := g.text(depth)
	if g.IntN(3) == 0 {
		subject = g.number(depth)
	}
	return "${" + name + ":" + subject + "}"
}

func (g *grammar) item(depth int) string {
	two := g.arg(depth) + g.arg(depth)
	switch g.IntN(16) {
	case 0:
		return "${extract{" + g.pick("a", "b", "k", "1", "2", "-1", "0", " c ", "x") + "}" + two + g.branches(depth) + "}"
	case 1:
		return "${extract{" + g.pick("1", "2", "-1", "0", "7", "-3") + "}{" + g.pick(":", ".", " ", ":.") + "}" + g.arg(depth) + g.branches(depth) + "}"
	case 2:
		return "${listextract{" + g.number(depth) + "}{" + g.list(depth) + "}" + g.branches(depth) + "}"
	case 3:
		return "${map{" + g.list(depth) + "}{" + g.pick("$item", "[$item]", "$item:", g.text(depth)) + "}}"
	case 4:
		return "${filter{" + g.list(depth) + "}{" + g.condition(depth) + "}}"
	case 5:
		return "${reduce{" + g.list(depth) + "}" + g.arg(depth) + "{" + g.pick("$value$item", "$item", "${eval:$value+1}", g.text(depth)) + "}}"
	case 6:
		return "${sort{" + g.list(depth) + "}{" + g.pick("<", ">", "lt", "gt", "lei", "<=", "ge", "eq", "nosuch") + "}{" + g.pick("$item", "${uc:$item}", g.text(depth)) + "}}"
	case 7:
		return "${sg" + g.arg(depth) + "{" + g.pick("a", "[a-c]", "(.)", "^", "\\N\\d\\N", "x*", "(") + "}{" + g.pick("-", "<\\$1>", "", g.text(depth)) + "}}"
	case 8:
		return "${tr" + g.arg(depth) + "{" + g.pick("abc", "a-c", "", "1") + "}{" + g.pick("xyz", "x", "", "12") + "}}"
	case 9:
		return "${substr{" + g.number(depth) + "}{" + g.number(depth) + "}" + g.arg(depth) + "}"
	case 10:
		return "${" + g.pick("length", "hash", "nhash", "substr") + "{" + g.pick("0", "1", "3", "9", "x") + "}" + g.arg(depth) + "}"
	case 11:
		return "${hmac{" + g.pick("md5", "sha1", "nosuch") + "}" + two + "}"
	case 12:
		return "${extract " + g.pick("json", "jsons") + "{" + g.pick("a", "b", "0", "1", "2", "3") + "}{" + g.pick("[1,2,\"z\"]", "\\{\"a\":1,\"b\":\"c\"\\}", "x") + "}" + g.branches(depth) + "}"
	case 13:
		return "${listquote{" + g.pick(":", ",", "") + "}" + g.arg(depth) + "}"
	case 14:
		return "${imapfolder{" + g.pick("a/b", "x&y", "a.b", "p q", g.text(depth)) + "}}"
	}
	return "${" + g.pick("lc", "if", "sg", "map", "extract", "hash", "prvs", "env", "length", "nosuch", "sort", "tr") + two + "}"
}

func (g *grammar) condition(depth int) string {
	if depth <= 0 {
		return g.pick("eq{a}{a}", "eq{$item}{a}", "bool{no}", "def:item", "!eq{1}{2}", ">{2}{1}", "match{abc}{b}")
	}
	depth--
	not := g.pick("", "", "", "!", "! ")
	two := g.pick("", "", " ") + g.arg(depth) + g.arg(depth)
	switch g.IntN(10) {
	case 0:
		return not + g.pick("=", "<", ">", "<=", ">=", "==") + "{" + g.number(depth) + "}{" + g.number(depth) + "}"
	case 1:
		return not + g.pick("and", "or") + "{{" + g.condition(depth) + "}" + g.pick("", " ") + "{" + g.condition(depth) + "}}"
	case 2:
		return not + g.pick("forany", "forall") + "{" + g.list(depth) + "}{" + g.condition(depth) + "}"
	case 3:
		return not + "match" + g.arg(depth) + "{" + g.pick("a", "^a", "(b)", "\\N^\\d+$\\N", "(", "") + "}"
	case 4:
		return not + g.pick("bool", "bool_lax", "isip", "isip4", "isip6", "exists") + g.arg(depth)
	case 5:
		return not + g.pick("inlist", "inlisti", "match_domain", "match_local_part", "match_ip") + g.arg(depth) + "{" + g.list(0) + "}"
	case 6:
		return not + "def:" + g.pick("sender_address", "item", "h_subject:", "primary_hostname", "acl_m_q", "nosuch", "1")
	}
	return not + g.pick("eq", "eqi", "lt", "gt", "le", "ge", "eq", "eqi") + two
}
