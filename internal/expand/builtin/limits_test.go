package builtin

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// TestLimits: no text makes evaluation use more memory or stack than its limits allow; what goes too far is an error.
func TestLimits(t *testing.T) {
	e := testEngine(t)
	long := strings.Repeat("x:", 50_000)
	deep := func(open, middle, end string, n int) string {
		return strings.Repeat(open, n) + middle + strings.Repeat(end, n)
	}
	doubling := func(n int) string { return deep("${reduce{1:2}{}{${value}", "x", "}}", n) }
	for name, text := range map[string]string{
		"nested operators":    deep("${lc:", "x", "}", 100_000),
		"nested items":        deep("${if eq{a}{a}{", "x", "}{}}", 100_000),
		"nested conditions":   "${if " + deep("and{{", "eq{a}{a}", "}}", 100_000) + "{y}{n}}",
		"negations":           "${if " + strings.Repeat("!", 1_000_000) + "eq{a}{a}{y}{n}}",
		"open braces":         strings.Repeat("${", 100_000),
		"expansion in itself": deep("${expand:", "x", "}", 200),
		"reduce that doubles": "${reduce{" + strings.Repeat("1:", 64) + "}{x}{$value$value}}",
		"reduce in reduce":    doubling(20),
		"map of maps":         "${map{" + long + "}{${map{" + long + "}{$item$item}}}}",
		"map that grows":      "${map{${map{${map{" + long + "}{${length_1000:" + long + "}}}}{$item$item}}}{$item$item}}",
		"sg that grows":       "${sg{${sg{${sg{" + strings.Repeat("x", 4000) + "}{x}{" + strings.Repeat("y", 4000) + "}}}{y}{" + strings.Repeat("z", 4000) + "}}}{z}{aaaa}}",
		"huge length":         "${length{2147483647}{abc}}${substr{-2147483648}{2147483647}{abc}}${length_99999999999999:abc}",
		"a long number":       "${eval:" + strings.Repeat("9", 100_000) + "}",
		"a deep sum":          "${eval:" + deep("(", "1", ")", 100_000) + "}",
		"signs":               "${eval:" + strings.Repeat("-", 1_000_000) + "1}",
		"a regex that hangs":  `${if match{` + strings.Repeat("a", 60) + `!}{^(a+)+\$}{y}{n}}`,
		"a regex of regexes":  "${if match{x}{" + deep("(", "x", ")", 10_000) + "}{y}{n}}",
		"sorting":             "${sort{" + strings.Repeat("b:a:", 20_000) + "}{<}{$item}}",
		"json":                "${extract json{a}{" + deep(`\{"a":`, "1", `\}`, 50_000) + "}}",
		"base64":              "${base64:" + strings.Repeat("x", 1<<20) + "}",
		"header wrap":         "${headerwrap_1_999999999:" + strings.Repeat("x ", 10_000) + "}",
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		s := e.NewScope(ctx, nil, nil, &mail.Message{Session: &mail.Session{}})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		v, err := e.Expand(s, text)
		cancel()
		runtime.ReadMemStats(&after)
		const most = 200 << 20
		if len(v.S) > most {
			t.Errorf("%s: a result of %d bytes", name, len(v.S))
		}
		if grown := int64(after.HeapSys+after.StackSys) - int64(before.HeapSys+before.StackSys); grown > 1<<30 {
			t.Errorf("%s: %d MB were taken", name, grown>>20)
		}
		if err != nil && len(err.Error()) > 1<<20 {
			t.Errorf("%s: a message of %d bytes", name, len(err.Error()))
		}
	}
}

// hastyClock is a minute later at each look.
type hastyClock struct {
	stillClock
	looks *int
}

func (c hastyClock) Now() time.Time {
	*c.looks++
	return c.now.Add(time.Duration(*c.looks) * time.Minute)
}

// TestBudget: whatever list somebody sends, the evaluation comes to an end.
func TestBudget(t *testing.T) {
	const steps, minutes = "given up after 10000000 steps", "given up after 10 minutes"
	many := strings.Repeat("x:", 200_000) // as long as a header line may be
	json := "[" + strings.Repeat("1,", 200_000) + "1]"
	for _, c := range []struct{ name, text, list, want string }{
		{"filter of forany", "${filter{$acl_m_list}{forany{$acl_m_list}{eq{$item}{q}}}}", many, steps},
		{"forall of forall", "${if forall{$acl_m_list}{forall{$acl_m_list}{eq{$item}{x}}}{y}{n}}", many, steps},
		{"map of reduce", "${map{$acl_m_list}{${reduce{$acl_m_list}{}{$item}}}}", many, steps},
		{"reduce of filter", "${reduce{$acl_m_list}{}{${filter{$acl_m_list}{eq{$item}{}}}}}", many, steps},
		{"sort of sort", "${sort{$acl_m_list}{lt}{${sort{$acl_m_list}{lt}{$item}}}}", many, steps},
		{"forany_json", "${if forany_json{$acl_m_list}{forany_json{$acl_m_list}{eq{$item}{2}}}{y}{n}}", json, steps},
		{"list of lists", "${if forany{$acl_m_list}{inlist{q}{$acl_m_list}}{y}{n}}", many, steps},
		{"checksums", "${if forany{$acl_m_list}{eq{${md5:$acl_m_list}}{}}{y}{n}}", many, steps},
		{"items on long texts", "${if forany{$acl_m_list}{eq{${tr{$acl_m_list}{a}{b}}}{}}{y}{n}}", many, steps},
		{"regular expressions", "${if forany{$acl_m_list}{match{$acl_m_list}{q}}{y}{n}}", many, steps},
		{"substitutions", "${if forany{$acl_m_list}{eq{${sg{$acl_m_list}{x}{}}}{}}{y}{n}}", many, steps},
		{"texts", "${if forany{$acl_m_list}{eq{-$acl_m_list}{}}{y}{n}}", many, steps},
		{"lookups", "${map{$acl_m_list}{${lookup{$item}lsearch{/etc/passwd}{}}}}", many, minutes},
		{"sockets", "${map{$acl_m_list}{${readsocket{/nonexistent}{}{1s}{}{-}}}}", many, minutes},
		{"commands", "${map{$acl_m_list}{${run{/nonexistent}{}{-}}}}", many, minutes},
		{"matches", "${map{$acl_m_list}{${if match{$item}{^(a+)+\\$}}}}", many, minutes},
		{"one after the other", "${filter{$acl_m_list}{eq{$item}{}}}${filter{$acl_m_list}{eq{$item}{}}}", many, ""},
		{"a large list that is gone through", "${reduce{$acl_m_list}{0}{${eval:$value+1}}}", many, ""},
	} {
		e := testEngine(t)
		if c.want == minutes {
			e.World.Clock = hastyClock{stillClock{time.Unix(1e9, 0)}, new(int)}
		}
		s := e.NewScope(context.Background(), nil, nil, &mail.Message{Session: &mail.Session{}})
		s.Message.Vars = map[string]mail.Value{"_list": {S: c.list, Tainted: true}}
		_, err := e.Expand(s, c.text)
		switch {
		case err == nil && c.want != "", err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %.200v, wanted %q", c.name, err, c.want)
		case expand.IsTemporary(err) != (c.want == minutes):
			t.Errorf("%s: temporary %v", c.name, expand.IsTemporary(err))
		}
	}
}
