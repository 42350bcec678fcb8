package spam

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"exigo/internal/acl"
	"exigo/internal/mail"
	"exigo/internal/scan/scantest"
)

const (
	statement = "accept spam = nobody"
	values    = "$spam_score_int|$spam_score|$spam_bar|$spam_action|$spam_report"
)

// TestAnswers has the answers of trials with Exim.
func TestAnswers(t *testing.T) {
	sa := func(spam string) string {
		return "SPAMD/1.1 0 EX_OK\r\nSpam: " + spam + "\r\n\r\nline 1\r\n\r\nline 3\r\n"
	}
	report := "line 1\n \n line 3"
	for _, x := range []struct {
		variant, reply string
		verdict        acl.Verdict
		want           string // the variables or, after "!", the complaint
	}{
		{"", sa("True ; 15.3 / 5.0"), acl.OK, "153|15.3|+++++++++++++++|reject|" + report},
		{"", sa("False ; 4.96 / 5.0"), acl.Fail, "49|5.0|++++|no action|" + report},
		{"", sa("False ; 0.0 / 5.0"), acl.Fail, "0|0.0|/|no action|" + report},
		{"", sa("False ; 99.9 / 100.0"), acl.Fail, "999|99.9|" + strings.Repeat("+", 50) + "|no action|" + report},
		{"", sa("True ; -3.5 / -5.0"), acl.OK, "-34|-3.5|---|reject|" + report},
		{"", sa("True ; 5.0 / 5.0\r\nContent-length: 10"), acl.OK, "50|5.0|+++++|reject|" + report},
		{"", "SPAMD/1.0 0 EX_OK\r\nSpam: True ; 6 / 5\r\n", acl.OK, "60|6.0|++++++|reject|"},
		{"", sa("True ; abc / 5.0"), acl.Defer, "!cannot parse spamd ADDRESS output"},
		{"", sa("True ; NaN / 5.0"), acl.Defer, "!cannot parse spamd ADDRESS output"},
		{"", sa("True ; 1e300 / 5.0"), acl.Defer, "!cannot parse spamd ADDRESS output"},
		{"", sa("True"), acl.Defer, "!cannot parse spamd ADDRESS output"},
		{"", "SPAMD/1.1 76 Bad header line\r\nSpam: True ; 6.0 / 5.0\r\n", acl.Defer, "!cannot parse spamd ADDRESS output"},
		{"", "HTTP/1.0 200\r\n", acl.Defer, "!cannot parse spamd ADDRESS output"},
		{"", "", acl.Defer, "!cannot parse spamd ADDRESS output"},
		{" variant=rspamd", "RSPAMD/1.3 0 EX_OK\r\nMetric: default; True; 12.30 / 15.00 / 0.0\r\nAction: reject\r\nSymbol: A(1.00)\r\nMessage-ID: x\r\n\r\n", acl.Fail,
			"123|12.3|++++++++++++|reject|Action: reject\n Symbol: A(1.00)\n Message-ID: x"},
		{" variant=rspamd", "RSPAMD/1.3 0 EX_OK\r\nMetric: default; False; 99.30 / 15.00 / 0.0\r\nAction: rewrite subject\r\nSubject: foo\r\n", acl.OK,
			"993|99.3|" + strings.Repeat("+", 50) + "|rewrite subject|Action: rewrite subject\n Subject: foo"},
		{" variant=rspamd", "RSPAMD/1.3 0 EX_OK\r\nMetric: default; True; 12.30 / 15.00 / 0.0\r\n", acl.Defer, "!cannot parse spamd ADDRESS, output: 5"},
		{" variant=rspamd", "RSPAMD/1.3 0 EX_OK\r\nMetric: default; False; 12.30 / 15.00\r\nAction: greylist\r\n", acl.Defer, "!cannot parse spamd ADDRESS, output: 4"},
		{" variant=rspamd", "RSPAMD/1.3 0 EX_OK\r\n\r\nMetric: default; False; 2.30 / 15.00 / 0.0\r\n", acl.Defer, "!cannot parse spamd ADDRESS, output: 1"},
		{" variant=rspamd", "HTTP/1.1 200 OK\r\n\r\n{}", acl.Defer, "!cannot parse spamd ADDRESS, output: 0"},
		{" variant=rspamd", "", acl.Defer, "!cannot parse spamd ADDRESS, output: -1"},
	} {
		head := "REPORT SPAMC/1.2\r\nUser: nobody\r\nContent-length: " + strconv.Itoa(len(scantest.Copy)) + "\r\n\r\n"
		if x.variant != "" {
			head = fmt.Sprintf("CHECK RSPAMC/1.3\r\nContent-length: %d\r\nQueue-Id: id\r\nFrom: <s@a.example>\r\nRecipient-Number: 2\r\nRcpt: <x@b.example>\r\nRcpt: <y@b.example>\r\n"+
				"Helo: helo.example\r\nHostname: client.example\r\nIP: 192.0.2.1\r\nUser: user\r\n\r\n", len(scantest.Copy))
		}
		steps := []string{"<" + strings.Repeat(" ", len(head)+len(scantest.Copy)), ">" + x.reply}
		if x.variant == "" {
			steps[0] = "<<" // the end of the message is the end of what is sent
		}
		d := scantest.TCP(t, scantest.Script(steps...))
		b := scantest.New(t, Feature(), "spamd_address = "+d.Address+x.variant+"\n")
		if o := b.Run(statement); o.Verdict != x.verdict || o.LogMessage != "" {
			t.Errorf("%q: %+v", x.reply, o)
		}
		if heard := d.Heard(); heard != head+scantest.Copy {
			t.Errorf("heard %q", heard)
		}
		host, port, _ := strings.Cut(d.Address, " ")
		address := "[" + host + "]:" + port
		got := b.Expand(values)
		if complaint, failed := strings.CutPrefix(x.want, "!"); failed {
			x.want = "||||"
			if log := strings.ReplaceAll(b.TakeLog(), address, "ADDRESS"); log != "panic: spam acl condition: "+complaint {
				t.Errorf("%q: logged %s", x.reply, log)
			}
		}
		if got != x.want || len(b.Log) > 0 || b.Expand("$callout_address") != address {
			t.Errorf("%q: %q %s", x.reply, got, b.TakeLog())
		}
	}
}

// TestArgument: users and suffixes, and that a user's answer is used again.
func TestArgument(t *testing.T) {
	d := scantest.Unix(t, scantest.Script("<", "<", "<<", ">SPAMD/1.1 0 EX_OK\r\nSpam: False ; 4.0 / 5.0\r\n\r\n"))
	for argument, want := range map[string]struct {
		user    string // "" when nobody is asked
		verdict acl.Verdict
	}{
		"joe": {"joe", acl.Fail}, "joe:true": {"joe", acl.OK}, "joe:TRUE/defer_ok": {"joe", acl.OK}, "joe/defer_ok": {"joe", acl.Fail}, "0": {"", acl.Fail}, "false": {"", acl.Fail},
		"FALSE": {"", acl.Fail}, "": {"", acl.Fail}, "true": {"true", acl.Fail}, "joe:foo": {"joe", acl.Fail}, "joe bloe": {"joe bloe", acl.Fail}, "$acl_m_none": {"", acl.Fail},
	} {
		b := scantest.New(t, Feature(), "spamd_address = "+d.Address+"\n")
		for range 2 {
			if o := b.Run("accept spam = " + argument); o.Verdict != want.verdict {
				t.Errorf("%s: %+v %s", argument, o, b.TakeLog())
			}
		}
		if want.user == "" {
			continue
		}
		if heard := d.Heard(); !strings.Contains(heard, "\r\nUser: "+want.user+"\r\n") {
			t.Errorf("%s: %q", argument, heard)
		}
	}
	if d.Sessions() != 0 {
		t.Error("somebody was asked twice")
	}
	b := scantest.New(t, Feature(), "spamd_address = "+d.Address+"\n")
	b.Run("accept spam = a")
	b.Run("accept spam = b")
	d.Heard()
	d.Heard()
	b = scantest.New(t, Feature(), "spamd_address = ${if eq{a}{a}{"+d.Address+"}}\n")
	b.Run("accept spam = a")
	b.Run("accept spam = a")
	d.Heard()
	d.Heard()
	for _, phase := range []acl.Phase{acl.MIME, acl.DKIM, acl.Predata} {
		if o := b.RunIn(phase, statement); o.Verdict != acl.Error || o.LogMessage != "cannot test spam condition in "+phase.String()+" ACL" {
			t.Errorf("%v: %+v", phase, o)
		}
	}
}

// TestFailures: daemons that cannot be reached, and one that says nothing.
func TestFailures(t *testing.T) {
	warning, connect, failed := "main: spam acl condition: warning - invalid spamd ", "main: spam acl condition: spamd: ", "panic: spam acl condition: all spamd servers failed"
	none := "panic: spam acl condition: no useable spamd server addresses in spamd_address configuration option."
	refused := connect + "failed to connect to any address for 127.0.0.1: Connection refused\n"
	silent := scantest.TCP(t, scantest.Script("<<", "<<"))
	for address, want := range map[string]string{
		"127.0.0.1 1":                             refused + failed,
		"127.0.0.1 1 foo tmo=x pri=x weight=x":    warning + "parameter: 'foo'\n" + warning + "timeout value: 'x'\n" + warning + "parameter: 'pri=x'\n" + warning + "parameter: 'weight=x'\n" + refused + failed,
		"127.0.0.1 1 time=x variant=y retry=q":    warning + "time value: 'x'\n" + warning + "parameter: 'variant=y'\n" + warning + "retry value: 'q'\n" + refused + failed,
		"127.0.0.1 1-2":                           refused + failed,
		"127.0.0.1 1 time=11-12":                  failed,
		"127.0.0.1":                               warning + "address: '127.0.0.1'\n" + none,
		"127.0.0.1 xx":                            connect + "invalid socket '127.0.0.1 xx'\n" + failed,
		"nowhere.example 1":                       connect + "no IP address found for host nowhere.example\n" + failed,
		"/nonexistent/socket":                     connect + "unable to connect to UNIX socket (/nonexistent/socket): No such file or directory\n" + failed,
		"$acl_m9":                                 none,
		"${if eq{a}{b}{}fail}":                    "panic: spam acl condition: spamd_address starts with $, but expansion failed: \"if\" failed and \"fail\" requested",
		"<; 127.0.0.1 1 pri=2 ; <+ ::1 + 1":       refused + connect + "failed to connect to any address for ::1: Connection refused\n" + failed,
		silent.Address + " tmo=1s variant=rspamd": "panic: spam acl condition: error reading from spamd [" + strings.ReplaceAll(silent.Address, " ", "]:") + ", socket: Connection timed out",
	} {
		b := scantest.New(t, Feature(), "spamd_address = "+address+"\n")
		o := b.Run(statement)
		if log := b.TakeLog(); o.Verdict != acl.Defer || o.LogMessage != "" || log != want {
			t.Errorf("%s: %+v\n got %s\nwant %s", address, o, log, want)
		}
		if address != silent.Address+" tmo=1s variant=rspamd" {
			if o := b.Run(statement + ":true/defer_ok"); o.Verdict != acl.Fail {
				t.Errorf("%s: %+v", address, o)
			}
		}
	}
}

// TestChoose: priorities, weights, times of day.
func TestChoose(t *testing.T) {
	at := func(hour, minute int) time.Time { return time.Date(2020, 1, 1, hour, minute, 0, 0, time.UTC) }
	for _, x := range []struct {
		list  string
		now   time.Time
		n     int // what the random number is
		order string
	}{
		{"/a : /b pri=2 : /c pri=3", at(12, 0), 0, "/c /b /a"},
		{"/a : /b weight=3 : /c", at(12, 0), 1, "/b /c /a"},
		{"/a weight=0 : /b weight=0", at(12, 0), 1, "/b /a"},
		{"/a time=8-17.30 pri=9 : /b", at(17, 30), 0, "/a /b"},
		{"/a time=8-17.30 pri=9 : /b", at(17, 31), 0, "/b"},
		{"/a time=22-6.0.0 pri=9 : /b", at(23, 0), 0, "/a /b"},
		{"/a time=22-6 pri=9 : /b", at(5, 0), 0, "/a /b"},
		{"/a time=22-6 pri=9 : /b", at(7, 0), 0, "/b"},
	} {
		servers := readServers(x.list, func(w string) { t.Error(w) })
		var order []string
		for {
			d := choose(servers, x.now, func(n int) int { return min(x.n, n-1) })
			if d == nil {
				break
			}
			order = append(order, d.address.Path)
			d.failed = true
		}
		if got := strings.Join(order, " "); got != x.order {
			t.Errorf("%s: %s", x.list, got)
		}
	}
	// Each server comes first as often as its weight says.
	first := map[string]int{}
	servers := readServers("/a weight=1 : /b weight=2 : /c weight=4 : /d weight=0", nil)
	for n := range 7 {
		first[choose(servers, at(0, 0), func(total int) int {
			if total != 7 {
				t.Error(total)
			}
			return n
		}).address.Path]++
	}
	if !reflect.DeepEqual(first, map[string]int{"/a": 1, "/b": 2, "/c": 4}) {
		t.Error(first)
	}
	warnings := 0
	if n := len(readServers(strings.Repeat("/a:", 40), func(string) { warnings++ })); n != maxServers || warnings != 1 {
		t.Error(n, warnings)
	}
	d := readServers("/s retry=3s tmo=1m variant=rspamd", nil)[0]
	if d.address.Retry != 3*time.Second || d.timeout != time.Minute || !d.rspamd {
		t.Errorf("%+v", d)
	}
}

// TestFields: what travels in the spool.
func TestFields(t *testing.T) {
	var m, n mail.Message
	for _, f := range Feature().Fields {
		if _, present := f.Write(&m); present {
			t.Error(f.Name)
		}
	}
	mail.State[verdict](&m.Bag).set(12.34, 5, "secret")
	var names []string
	for _, f := range Feature().Fields {
		text, present := f.Write(&m)
		if !present || f.Read(&n, text) != nil {
			t.Error(f.Name)
		}
		names = append(names, f.Name+"="+text)
	}
	if got := strings.Join(names, " "); got != "spam_bar=++++++++++++ spam_score=12.3 spam_score_int=123" {
		t.Error(got)
	}
	want := verdict{bar: "++++++++++++", score: "12.3", scoreInt: "123"}
	if got := *mail.Peek[verdict](&n.Bag); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15.3 / 5.0\r\n\r\nreport\r\n")
	f.Add("RSPAMD/1.3 0 EX_OK\r\nMetric: default; True; 12.30 / 15.00 / 0.0\r\nAction: reject\r\n\r\n")
	f.Fuzz(func(t *testing.T, reply string) {
		var v verdict
		for _, read := range []func(string) error{v.readSpamd, v.readRspamd} {
			if read(reply) == nil && (len(v.bar) > maxBar || v.bar == "" || strings.ContainsAny(v.action+v.score, "\r\n\x00") || strings.ContainsAny(v.report, "\r\x00")) {
				t.Errorf("%q: %+v", reply, v)
			}
		}
		readServers(reply, func(string) {})
	})
}
