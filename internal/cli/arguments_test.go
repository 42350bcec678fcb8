package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParseArguments(t *testing.T) {
	for _, c := range []struct {
		line string
		mode Mode
		sub  string
		want func(a *Arguments) bool
	}{
		{"exim -bd -q30m", ModeDaemon, "", func(a *Arguments) bool { return a.Queue.Wanted && a.Queue.Interval == 30*time.Minute }},
		{"exim -bdf -oX 1225", ModeDaemon, "f", func(a *Arguments) bool { return a.Ports == "1225" }},
		{"exim -qqff", ModeQueueRun, "", func(a *Arguments) bool { return a.Queue.TwoStage && a.Queue.Force && a.Queue.ForceFrozen }},
		{"exim -qGlow/5m", ModeQueueRun, "", func(a *Arguments) bool { return a.Queue.Name == "low" && a.Queue.Interval == 5*time.Minute }},
		{"exim -q 1abcde-000000-00 1abcdf-000000-00", ModeQueueRun, "", func(a *Arguments) bool {
			return a.Queue.Start == "1abcde-000000-00" && a.Queue.End == "1abcdf-000000-00"
		}},
		{"exim -Rrff ^x@", ModeQueueRun, "", func(a *Arguments) bool {
			return a.Queue.Recipient == "^x@" && a.Queue.RecipientRegexp && a.Queue.SelectFrozen
		}},
		{"exim -qS y@z", ModeQueueRun, "", func(a *Arguments) bool { return a.Queue.Sender == "y@z" }},
		{"sendmail -t -oi -fx@y -F Name", ModeSubmit, "", func(a *Arguments) bool {
			s := a.Submission
			return s.ExtractRecipients && !s.DotEnds && s.Sender == "x@y" && s.SenderGiven && s.FullName == "Name"
		}},
		{"sendmail -i user", ModeSubmit, "", func(a *Arguments) bool { return a.Operands[0] == "user" && a.Submission.DotEnds == false }},
		{"sendmail -odi -f <> user", ModeSubmit, "", func(a *Arguments) bool {
			return a.Submission.Delivery == DeliverForeground && a.Submission.Sender == "<>"
		}},
		{"mailq", ModeList, "", nil},
		{"exim -bpra", ModeList, "ra", nil},
		{"runq", ModeQueueRun, "", nil},
		{"newaliases", ModeRebuild, "", nil},
		{"rsmtp", ModeBatch, "", nil},
		{"exim -bh 10.9.8.7", ModeHost, "", func(a *Arguments) bool { return a.HostAddress == "10.9.8.7" }},
		{"exim -C /x -DA=b -D C -bP +list", ModeNone, "", nil},
		{"exim -C /x -DA=b -bP +list", ModePrint, "", func(a *Arguments) bool {
			return a.ConfigFile == "/x" && a.Macros[0] == MacroDefinition{"A", "b"} && a.Operands[0] == "+list"
		}},
		{"exim -Mrm 1abcde-000000-00", ModeMessage, "rm", func(a *Arguments) bool { return len(a.Operands) == 1 }},
		{"exim -MG fast 1abcde-000000-00", ModeMessage, "G", func(a *Arguments) bool { return a.MoveTo == "fast" }},
		{"exim -oMa 1.2.3.4.25 -oMr esmtp -bs", ModeSMTP, "", func(a *Arguments) bool { return a.Submission.Host == "1.2.3.4.25" }},
		{"exim -d-all+dns -bt x@y", ModeTest, "", func(a *Arguments) bool { return a.Debug && a.DebugSpec == "-all+dns" }},
		{"exim -Tqt 3m/15m/2d -q", ModeQueueRun, "", func(a *Arguments) bool { return len(a.QueueTimes) == 3 && a.QueueTimes[2] == 48*time.Hour }},
		{"exim -bmalware /x", ModeScan, "", func(a *Arguments) bool { return a.ScanFile == "/x" }}, {"exim -bmalware", ModeNone, "", nil},
		{"exim -atrn mx.isp.example a.example,b.example", ModeFetch, "", func(a *Arguments) bool {
			return a.HostAddress == "mx.isp.example" && a.Domains == "a.example,b.example"
		}},
		{"exim -atrn mx.isp.example", ModeNone, "", nil},
		{"exim -MCG low -odq x@y", ModeSubmit, "", func(a *Arguments) bool { return a.Submission.QueueName == "low" && a.Operands[0] == "x@y" }},
		{"exim -ps -bt x@y", ModeTest, "", func(a *Arguments) bool { return a.Perl == "s" }},
		{"exim -z a log line", ModeLogLine, "", func(a *Arguments) bool { return a.LogLine == "a log line" }},
		{"exim", ModeHelp, "", nil},
		{"exim -- -bd", ModeSubmit, "", func(a *Arguments) bool { return a.Operands[0] == "-bd" }},
		{"exim -bogus", ModeNone, "", nil},
		{"exim -bd -bs", ModeNone, "", nil},
	} {
		words := strings.Fields(c.line)
		a, err := ParseArguments(words[0], words[1:])
		if (err != nil) != (c.mode == ModeNone) {
			t.Errorf("%s: error %v", c.line, err)
			continue
		}
		if err != nil {
			continue
		}
		if a.Mode != c.mode || a.Sub != c.sub || c.want != nil && !c.want(a) {
			t.Errorf("%s: got mode %q sub %q %+v", c.line, a.Mode, a.Sub, a)
		}
	}
}

func TestListeningText(t *testing.T) {
	for _, c := range []struct{ interfaces, want string }{
		{"", "listening for SMTP on port 25 (IPv6 and IPv4)"},
		{"0.0.0.0", "listening for SMTP on port 25 (IPv4)"},
		{"<; 127.0.0.1 ; 10.0.0.1.26 ; [10.0.0.1]:27", "listening for SMTP on [127.0.0.1]:25 [10.0.0.1]:{26,27}"},
		{"<; ::1 ; ::1.465", "listening for SMTP on [::1]:25 and for SMTPS on [::1]:465"},
	} {
		m := testMain()
		m.LocalInterfaces = splitList(c.interfaces)
		m.TLSOnConnectPorts = []string{"465"}
		m.DaemonSMTPPorts = []string{"25"}
		places, err := endpoints(m, "", false)
		if err != nil {
			t.Fatal(err)
		}
		if got := listeningText(places); got != c.want {
			t.Errorf("%s: %s, want %s", c.interfaces, got, c.want)
		}
	}
	m := testMain()
	places, err := endpoints(m, "1225", false)
	if err != nil || len(places) != 2 || places[0].port != 1225 {
		t.Errorf("-oX 1225: %v %v", places, err)
	}
	if _, err := endpoints(m, "1.2.3", false); err == nil {
		t.Error("a malformed interface was accepted")
	}
}

func TestHostAndPort(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4": "1.2.3.4 0", "1.2.3.4.25": "1.2.3.4 25", "[1.2.3.4]:25": "1.2.3.4 25", "::1": "::1 0", "[::1]:99": "::1 99",
		"999": `exim abandoned: "999" is not an IP address`, "1.2.3.4x": `exim abandoned: "1.2.3.4x" is not an IP address`,
		"": `exim abandoned: "" is not an IP address`, "[x]:1": `exim abandoned: "[x]:1" is not an IP address`,
	} {
		addr, port, err := hostAndPort(text)
		got := fmt.Sprintf("%s %d", addr, port)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
