package retry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/testkit"
)

// settings is a configuration with one named list.
type settings struct{}

func (settings) NamedList(kind byte, name string) (string, bool) {
	return "*@named.example", kind == 'a' && name == "named"
}
func (settings) MainOptions() option.Bag { return option.Bag{} }
func (settings) LanguageSettings() *expand.Settings {
	return &expand.Settings{PrimaryHostname: "host.test"}
}

func testScope(t testing.TB) (*expand.Scope, *testkit.Clock) {
	t.Helper()
	world := testkit.NewWorld(t)
	words := builtin.Words()
	words.LazyConditions = append(words.LazyConditions, list.Words().LazyConditions...)
	e, err := expand.New(world.World, words, expand.Hooks{Panic: func(_, line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	return e.NewScope(context.Background(), settings{}, nil, nil), world.Clock
}

func rules(t testing.TB, lines ...string) *Rules {
	t.Helper()
	var out []Rule
	for _, line := range lines {
		r, err := Parse(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, r)
	}
	return New(out)
}

// TestParse: how -brt shows rules, and the complaints, as exim 4.96 has them.
func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		// The examples of spec 32.8.
		"alice@wonderland.fict.example quota_5d  F,7d,3h":              "alice@wonderland.fict.example  quota_5d  F,1w,3h; ",
		"wonderland.fict.example       quota_5d":                       "wonderland.fict.example  quota_5d  ",
		"wonderland.fict.example       *         F,1h,15m; G,2d,1h,2;": "wonderland.fict.example  *  F,1h,15m; G,2d,1h,2.0; ",
		"lookingglass.fict.example     *         F,24h,30m;":           "lookingglass.fict.example  *  F,1d,30m; ",
		"*                 refused_A   F,2h,20m;":                      "*  refused_A  F,2h,20m; ",
		"* * F,2h,15m; G,16h,1h,1.5; F,5d,8h":                          "*  *  F,2h,15m; G,16h,1h,1.5; F,5d,8h; ",
		"* *\tF,1h,1m  ;g,2h,90s,1.375":                                "*  *  F,1h,1m; G,2h,1m30s,1.375; ",
		"* *":                                                          "*  *  ", "* G": `error unknown or malformed retry error "G"`,
		"*   rcpt_4xx   senders=:   F,1h,30m":                         "*  rcpt_4xx  senders=:  F,1h,30m; ",
		`a.domain  rcpt_452  senders="xb.dom : yc.dom"  G,8h,10m,1.5`: "a.domain  rcpt_452  senders=xb.dom : yc.dom  G,8h,10m,1.5; ",
		`"a b" * senders = x F,1h,1m`:                                 "a b  *  senders=x  F,1h,1m; ", `"a\"\t\n\x" * `: "a\"\t\nx  *  ",
		"*": "error missing error type in retry rule", "": "error missing error type in retry rule", `"* * F,1h,1m`: "error missing quote at end of string in retry rule",
		`* "x`:              "error missing quote at end of string in retry rule",
		"* foo F,1h,1m":     `error unknown or malformed retry error "foo"`,
		"* * X,1h,1m":       "error unknown retry rule letter",
		"* * F,1h":          "error comma expected",
		"* * FF,1h,1m":      "error comma expected",
		"* * F,1h;1m":       "error comma expected",
		"* * F 1h":          "error comma expected",
		"* * G,1h,1m":       "error comma expected",
		"* * F,1h,1m,2":     "error semicolon expected",
		"* * F,1h,1m x":     "error semicolon expected",
		"* * G,1h,1m,2,3":   "error semicolon expected",
		"* * G,1h,1m,0.5":   "error bad parameters for retry rule",
		"* * G,1h,1m,x":     "error bad parameters for retry rule",
		"* * F,1h,0s":       "error bad parameters for retry rule",
		"* * F,0s,1m":       "error bad parameters for retry rule",
		"* * F,1z,1m x":     "error bad parameters for retry rule",
		"* * F,1h,":         "error bad parameters for retry rule",
		"* quota_x F,1h,1m": "error bad time value", "* quota_ F,1h,1m": "error bad time value",
		"* rcpt_4 F,1h,1m":    "error rcpt_4 must be followed by xx, dx, or dd, where x is literal and d is any digit",
		"* rcpt_4x5 F,1h,1m":  "error rcpt_4 must be followed by xx, dx, or dd, where x is literal and d is any digit",
		"* data_4y1 F,1h,1m":  "error data_4 must be followed by xx, dx, or dd, where x is literal and d is any digit",
		"* mail_4512":         "error mail_4 must be followed by xx, dx, or dd, where x is literal and d is any digit",
		"* * senders F,1h,1m": `error "=" expected after "senders" in retry rule`, `* * senders="x`: "error missing quote at end of string in retry rule",
	} {
		r, err := Parse(in)
		got := r.String()
		if err != nil {
			got = "error " + err.Error()
		}
		if got != want {
			t.Errorf("%q:\n got %q\nwant %q", in, got, want)
		}
	}
}

// TestErrors: which failures each name of spec 32.5 takes.
func TestErrors(t *testing.T) {
	s, _ := testScope(t)
	refused, timeout := int(syscall.ECONNREFUSED), int(syscall.ETIMEDOUT)
	failures := map[string][2]int{
		"none": {0, 0}, "auth": {mail.ErrnoAuthFail, 0}, "lost": {mail.ErrnoSMTPClosed, 0}, "lookup": {mail.ErrnoUnknownHost, 0}, "dns": {mail.ErrnoDNSDefer, 0}, "tls": {mail.ErrnoTLSRequired, 0},
		"refusedA": {refused, 'A'}, "refusedM": {refused, 'M'}, "timeoutA": {timeout, 'A'}, "timeoutM": {timeout, 'M'}, "connectA": {timeout, 'A' | mail.MoreConnectTimeout}, "connectM": {timeout, 'M' | mail.MoreConnectTimeout},
		"mail421": {mail.ErrnoMail4xx, 21<<8 | 'M'}, "mail450": {mail.ErrnoMail4xx, 50<<8 | 'M'}, "rcpt450": {mail.ErrnoRcpt4xx, 50 << 8}, "rcpt452": {mail.ErrnoRcpt4xx, 52<<8 | 'A'}, "rcpt405": {mail.ErrnoRcpt4xx, 5 << 8}, "data451": {mail.ErrnoData4xx, 51 << 8},
		"quota0": {mail.ErrnoQuota, 0}, "quota4d": {mail.ErrnoQuota, 4 * 86400}, "quota6d": {mail.ErrnoQuota, 6 * 86400}, "dquot": {int(syscall.EDQUOT), 0}, "nospace": {int(syscall.ENOSPC), 0},
	}
	for name, want := range map[string]string{
		"auth_failed": "auth", "lost_connection": "lost", "lookup": "lookup", "tls_required": "tls", "timeout_DNS": "dns",
		"refused": "refusedA refusedM", "refused_A": "refusedA", "refused_MX": "refusedM", "Refused_mx": "refusedM",
		"timeout": "connectA connectM timeoutA timeoutM", "timeout_A": "connectA timeoutA", "timeout_MX": "connectM timeoutM", "timeout_connect": "connectA connectM", "timeout_connect_A": "connectA", "timeout_connect_MX": "connectM",
		"mail_4xx": "mail421 mail450", "mail_421": "mail421", "mail_45x": "mail450", "rcpt_4xx": "rcpt405 rcpt450 rcpt452", "rcpt_45x": "rcpt450 rcpt452", "rcpt_452": "rcpt452", "rcpt_405": "rcpt405", "rcpt_40x": "rcpt405", "data_4xx": "data451", "data_452": "",
		"quota": "dquot nospace quota0 quota4d quota6d", "quota_4d": "quota4d quota6d", "quota_5d": "quota6d",
	} {
		rs := rules(t, "* "+name+" F,1h,1m")
		var got []string
		for _, k := range slices.Sorted(maps.Keys(failures)) {
			if r, err := rs.Find(s, Failure{Key: "x.example", Errno: failures[k][0], MoreErrno: failures[k][1]}); err != nil {
				t.Error(err)
			} else if r != nil {
				got = append(got, k)
			}
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %s, want %s", name, text, want)
		}
		// What -brt is given fits the rule of that name.
		errno, more, err := ParseErrorName(name)
		if r, _ := rs.Find(s, Failure{Key: "x", Errno: errno, MoreErrno: more}); err != nil || r == nil {
			t.Errorf("-brt x %s: no rule (%d %#x %v)", name, errno, more, err)
		}
	}
	if _, _, err := ParseErrorName("nonsense"); err == nil {
		t.Error("nonsense is an error name")
	}
}

// TestFind: patterns, alternates, senders and order (spec 32.2 to 32.6).
func TestFind(t *testing.T) {
	s, _ := testScope(t)
	rs := rules(t, "p.q.r.example * F,24h,1s", "a.b.c.example * F,4d,2s", "alice@lookingglass.fict.example * F,1h,3s", "lookingglass.fict.example * F,1h,4s",
		`^\N[^@]+@xyz\d+\.abc\.example$\N * F,1h,5s`, "+named * F,1h,6s", "*.wild.example * F,1h,7s", "s.example rcpt_452 senders=: F,1h,8s", `s.example * senders="x@y : *@z" F,1h,9s`,
		"s.example * F,1h,10s", `"${if eq{1}{1}{exp.example}}" * F,1h,11s`, "192.168.34.23 * F,1h,12s", "*@st.example * F,1h,13s", "!last.example lookup F,1h,14s")
	for _, row := range []struct {
		f    Failure
		want int
	}{
		{Failure{Key: "p.q.r.example", Alternate: "a.b.c.example"}, 1}, {Failure{Key: "x.y.z.example", Alternate: "a.b.c.example"}, 2}, {Failure{Key: "a.b.c.example"}, 2}, {Failure{Key: "P.Q.R.Example"}, 1},
		{Failure{Key: "alice@lookingglass.fict.example"}, 3}, {Failure{Key: "bob@lookingglass.fict.example"}, 4}, {Failure{Key: "lookingglass.fict.example"}, 4}, {Failure{Key: "u@xyz12.abc.example"}, 5}, {Failure{Key: "xyz12.abc.example"}, 5},
		{Failure{Key: "named.example"}, 6}, {Failure{Key: "u@named.example"}, 6}, {Failure{Key: "a.wild.example"}, 7}, {Failure{Key: "wild.example"}, 0},
		{Failure{Key: "u@s.example", Errno: mail.ErrnoRcpt4xx, MoreErrno: 52 << 8, SenderKnown: true}, 8}, {Failure{Key: "u@s.example", SenderKnown: true}, 10}, {Failure{Key: "u@s.example", Errno: mail.ErrnoRcpt4xx, MoreErrno: 52 << 8}, 10},
		{Failure{Key: "u@s.example", SenderKnown: true, Sender: "q@z"}, 9}, {Failure{Key: "u@s.example", SenderKnown: true, Sender: "x@y"}, 9}, {Failure{Key: "u@s.example", Sender: "x@y"}, 10},
		{Failure{Key: "exp.example"}, 11}, {Failure{Key: "192.168.34.23"}, 12}, {Failure{Key: "st.example"}, 13}, {Failure{Key: "u@st.example"}, 13},
		{Failure{Key: "u@last.example", Errno: mail.ErrnoUnknownHost}, 0}, {Failure{Key: "u@other.example", Errno: mail.ErrnoUnknownHost}, 14}, {Failure{Key: "u@other.example"}, 0},
	} {
		r, err := rs.Find(s, row.f)
		got := 0
		if r != nil {
			got = int(r.Steps[0].Interval / time.Second)
		}
		if err != nil || got != row.want {
			t.Errorf("%+v: rule %d, want %d (%v)", row.f, got, row.want, err)
		}
	}
	var none *Rules
	if r, err := none.Find(s, Failure{}); r != nil || err != nil || !none.Empty() || !New(nil).Empty() || rs.Empty() {
		t.Error("no rules")
	}
}

// TestNext: the sequences of tries that rules give, for retries at the very moment that was set.
func TestNext(t *testing.T) {
	low, high := func(int) int { return 0 }, func(n int) int { return n - 1 }
	for _, row := range []struct {
		rule   string
		random func(int) int
		limit  time.Duration
		want   string
	}{
		{"* * F,1h,15m; G,2d,1h,2", low, 24 * time.Hour, "15m 15m 15m 15m 1h 2h 4h 8h 16h 24h 24h! 24h!"},
		{"* * F,30m,15m; F,1h,20m", low, 24 * time.Hour, "15m 15m 20m 20m 20m!"},
		{"* * F,2h,15m; G,16h,1h,1.5; F,5d,8h", low, 6 * time.Hour, "15m 15m 15m 15m 15m 15m 15m 15m 1h 1h30m 2h15m 3h22m30s 5h3m45s 6h 6h"},
		{"* * G,1d,10m,1", low, 24 * time.Hour, "10m 10m 10m"},
		{"* * H,1d,10m,2", low, 24 * time.Hour, "10m 10m"},
		{"* * H,1d,10m,2", high, 24 * time.Hour, "19m59s 39m57s 1h19m53s"},
		{"* *", low, 24 * time.Hour, "0!"},
	} {
		r, _ := Parse(row.rule)
		var failing, previous time.Duration
		for i, want := range strings.Fields(row.want) {
			wait, expired := r.Next(failing, previous, row.limit, row.random)
			got := option.FormatTime(wait)
			if wait == 0 {
				got = "0"
			}
			if expired {
				got += "!"
			}
			if want = strings.Replace(want, "24h", "1d", 1); got != want {
				t.Errorf("%s: try %d after %s: %s, want %s", row.rule, i, failing, got, want)
			}
			failing, previous = failing+wait, wait
		}
	}
	r, _ := Parse("* * F,2h,15m; F,4d,6h")
	if r.Cutoff() != 96*time.Hour || (*Rule)(nil).Cutoff() != 0 {
		t.Error("cutoff", r.Cutoff())
	}
}

// memory is a store of hints.
func memory(m map[string]Record) *Hints {
	return &Hints{
		Get:    func(_ context.Context, key string) (Record, bool) { r, ok := m[key]; return r, ok },
		Put:    func(_ context.Context, key string, r Record) { m[key] = r },
		Delete: func(_ context.Context, key string) { delete(m, key) },
		Expire: 7 * 24 * time.Hour, Limit: 24 * time.Hour,
	}
}

// TestUpdate: what is remembered of failures and successes, and when they are given up.
func TestUpdate(t *testing.T) {
	s, clock := testScope(t)
	start := clock.Now()
	rs := rules(t, "now.example *", "none.example lookup F,1h,1m", "good.example * F,1h,10m; F,2h,20m", "h.example * F,1h,7m")
	for _, row := range []struct {
		name                  string
		old                   *Record
		update                mail.RetryUpdate
		domain                string
		waited                time.Duration
		over                  bool
		first, next           time.Duration // from now; next 0 and first 0: no record
		known, recordsExpired bool
	}{
		{name: "first failure", update: mail.RetryUpdate{Key: "T:u@good.example", Errno: -1, Message: "m"}, next: 10 * time.Minute, known: true},
		{name: "later", old: &Record{First: start.Add(-70 * time.Minute), Last: start.Add(-10 * time.Minute), Next: start}, update: mail.RetryUpdate{Key: "R:good.example"}, first: -70 * time.Minute, next: 20 * time.Minute, known: true},
		{name: "over", old: &Record{First: start.Add(-3 * time.Hour), Last: start.Add(-10 * time.Minute), Next: start}, update: mail.RetryUpdate{Key: "T:u@good.example"}, over: true, first: -3 * time.Hour, next: 20 * time.Minute, known: true, recordsExpired: true},
		{name: "old record", old: &Record{First: start.Add(-400 * time.Hour), Last: start.Add(-200 * time.Hour), Next: start}, update: mail.RetryUpdate{Key: "T:u@good.example"}, next: 10 * time.Minute, known: true},
		{name: "success", old: &Record{First: start, Last: start, Next: start}, update: mail.RetryUpdate{Key: "T:u@good.example", Delete: true}},
		{name: "no steps", update: mail.RetryUpdate{Key: "R:u@now.example"}, over: true, known: true, recordsExpired: true},
		{name: "no rule", old: &Record{First: start, Last: start, Next: start}, update: mail.RetryUpdate{Key: "T:u@none.example", Errno: 5}, over: true},
		{name: "message older than cutoff", old: &Record{First: start, Last: start, Next: start}, update: mail.RetryUpdate{Key: "T:u@good.example"}, waited: 150 * time.Minute, over: true},
		{name: "message and failure older than cutoff", old: &Record{First: start.Add(-3 * time.Hour), Last: start, Next: start}, update: mail.RetryUpdate{Key: "T:u@good.example"},
			waited: 150 * time.Minute, over: true, first: -3 * time.Hour, next: 20 * time.Minute, known: true, recordsExpired: true},
		{name: "host", update: mail.RetryUpdate{Key: "T:h.example:10.0.0.1", Host: "h.example", IsHost: true}, domain: "x.example", next: 7 * time.Minute, known: true},
		{name: "host's domain", update: mail.RetryUpdate{Key: "T:x.example:10.0.0.1", Host: "x.example", IsHost: true}, domain: "good.example", next: 10 * time.Minute, known: true},
		{name: "message error counts from arrival", update: mail.RetryUpdate{Key: "R:u@good.example:<s@x>", Errno: mail.ErrnoQuota}, waited: 90 * time.Minute, next: 20 * time.Minute, known: true},
		{name: "host error does not", update: mail.RetryUpdate{Key: "R:u@good.example:<s@x>", Errno: mail.ErrnoUnknownHost}, waited: 90 * time.Minute, next: 10 * time.Minute, known: true},
	} {
		m := map[string]Record{}
		if row.old != nil {
			m[row.update.Key] = *row.old
		}
		over := rs.Update(context.Background(), s, memory(m), row.update, row.domain, "s@x", start.Add(-row.waited))
		r, known := m[row.update.Key]
		if over != row.over || known != row.known {
			t.Errorf("%s: over %v, known %v", row.name, over, known)
			continue
		}
		if known && (!r.First.Equal(start.Add(row.first)) || !r.Next.Equal(start.Add(row.next)) || r.Expired != row.recordsExpired || r.Errno != row.update.Errno || r.Text != row.update.Message || !r.Last.Equal(start)) {
			t.Errorf("%s: %s", row.name, fmt.Sprintf("first %s next %s %+v", r.First.Sub(start), r.Next.Sub(start), r))
		}
	}
	if !rs.MessageCutoff(s, Failure{Key: "u@good.example"}, 3*time.Hour) || rs.MessageCutoff(s, Failure{Key: "u@good.example"}, time.Hour) || rs.MessageCutoff(s, Failure{Key: "now.example"}, time.Hour) {
		t.Error("cutoff of messages")
	}
	var none *Hints
	if _, ok := none.Look(context.Background(), "x", start); ok {
		t.Error("hints of nothing")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("* * F,2h,15m; G,16h,1h,1.5; H,4d,6h,2")
	f.Add(`"a b" quota_5d senders="x : y" F,1h,1m`)
	f.Fuzz(func(t *testing.T, line string) {
		r, err := Parse(line)
		if err != nil {
			return
		}
		for _, s := range r.Steps {
			if s.Interval <= 0 || s.Cutoff <= 0 || s.Letter != 'F' && s.Factor < 1000 {
				t.Errorf("%q: %+v", line, s)
			}
		}
		if wait, _ := r.Next(time.Hour, time.Hour, 24*time.Hour, func(n int) int { return n - 1 }); wait < 0 || wait > 24*time.Hour {
			t.Errorf("%q: waits %s", line, wait)
		}
	})
}
