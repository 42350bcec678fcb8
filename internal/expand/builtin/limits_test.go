package builtin

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

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
