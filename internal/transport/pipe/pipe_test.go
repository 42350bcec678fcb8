package pipe

import (
	"os"
	"strings"
	"testing"

	"exigo/internal/mail"
	"exigo/internal/transport/transporttest"
)

const header = "Received: by host.test\nMessage-Id: <m1@s.test>\nFrom: Some One <sender@s.test>\nSubject: hello\n"

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []string
		change  func(f *transporttest.Fixture)
		result  mail.Result
		errno   int
		text    string
		log     string
		output  string
		freeze  bool
	}{
		{name: "good", options: []string{"command", "/bin/true"}, result: mail.Delivered},
		{name: "bad", options: []string{"command", "/bin/sh -c 'exit 3'"}, result: mail.Failed, text: "Child process of t1 transport returned 3 from command: /bin/sh"},
		{name: "temporary", options: []string{"command", "/bin/sh -c 'exit 75'"}, result: mail.Deferred, text: "Child process of t1 transport returned 75 (could mean temporary error) from command: /bin/sh"},
		{name: "all temporary", options: []string{"command", "/bin/sh -c 'exit 3'", "temp_errors", "*"}, result: mail.Deferred, text: "Child process of t1 transport returned 3 from command: /bin/sh"},
		{name: "ignored", options: []string{"command", "/bin/sh -c 'exit 3'", "ignore_status", "yes"}, result: mail.Delivered},
		{name: "not there", options: []string{"command", "/non/existent/file"}, result: mail.Failed,
			text: "Child process of t1 transport returned 127 (could mean unable to exec or command does not exist) from command: /non/existent/file"},
		{name: "not on the path", options: []string{"command", "nosuchcommand arg"}, result: mail.Failed, text: `"nosuchcommand" command not found for t1 transport`},
		{name: "frozen", options: []string{"command", "/no/such", "freeze_exec_fail", "yes"}, result: mail.Deferred, text: `pipe process failed to exec "/no/such"`, freeze: true},
		{name: "signal", options: []string{"command", `/bin/sh -c "kill -9 \\$\\$"`}, result: mail.Failed, text: `Child process of t1 transport (running command "/bin/sh") was terminated by signal 9 (Killed)`},
		{name: "signal frozen", options: []string{"command", `/bin/sh -c "kill -9 \\$\\$"`, "freeze_signal", "yes"}, result: mail.Deferred,
			text: `Child process of t1 transport (running command "/bin/sh") was terminated by signal 9 (Killed)`, freeze: true},
		{name: "shell's signal", options: []string{"command", `/bin/sh -c "exit 137"`}, result: mail.Failed,
			text: "Child process of t1 transport returned 137 (could mean shell command ended by signal 9 (Killed)) from command: /bin/sh"},
		{name: "no command", options: []string{"command", ""}, result: mail.Deferred, text: "no command specified for t1 transport"},
		{name: "slash", options: []string{"command", "/bin/echo x", "restrict_to_path", "yes"}, result: mail.Failed,
			text: `"/" found in "/bin/echo" (command for t1 transport) - failed for security reasons`},
		{name: "not allowed", options: []string{"command", "cat x", "allow_commands", "dog : /bin/cow"}, result: mail.Failed, text: `"cat" command not permitted by t1 transport`},
		{name: "allowed", options: []string{"command", "/bin/true x", "allow_commands", "dog : /bin/true"}, result: mail.Delivered},
		{name: "on the path", options: []string{"command", "true", "allow_commands", "dog", "restrict_to_path", "yes"}, result: mail.Delivered},
		{name: "tainted", options: []string{"command", "/bin/echo $local_part"}, result: mail.Failed, text: "Tainted arg 1 for t1 transport command: 'userx'"},
		{name: "bad expansion", options: []string{"command", "/bin/echo ${if"}, result: mail.Panicked, text: `Expansion of "${if" from command "/bin/echo ${if" in t1 transport failed: condition name expected, but found ""`},
		{name: "output logged", options: []string{"command", "/bin/sh -c 'echo; echo hello; echo there'", "log_output", "yes"}, result: mail.Delivered, log: "<userx@test.ex>: t1 transport output: hello"},
		{name: "output of failure logged", options: []string{"command", "/bin/sh -c 'echo x >&2; exit 7'", "log_fail_output", "yes"}, result: mail.Failed,
			text: "Child process of t1 transport returned 7 from command: /bin/sh", log: "<userx@test.ex>: t1 transport output: x"},
		{name: "output of deferral logged", options: []string{"command", "/bin/sh -c 'echo x; exit 75'", "log_defer_output", "yes"}, result: mail.Deferred,
			text: "Child process of t1 transport returned 75 (could mean temporary error) from command: /bin/sh", log: "<userx@test.ex>: t1 transport output: x"},
		{name: "output returned", options: []string{"command", "/bin/sh -c 'echo x'", "return_output", "yes"}, result: mail.Failed, text: "return message generated", output: "x\n"},
		{name: "failure returned", options: []string{"command", "/bin/sh -c 'echo x; exit 5'", "return_fail_output", "yes"}, result: mail.Failed,
			text: "Child process of t1 transport returned 5 from command: /bin/sh", output: "x\n"},
		{name: "nobody to return to", options: []string{"command", "/bin/sh -c 'echo x'", "return_output", "yes"}, change: func(f *transporttest.Fixture) { f.Run.Sender = "" }, result: mail.Delivered},
		{name: "too much output", options: []string{"command", "/bin/sh -c 'while echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; do :; done'", "max_output", "1000"}, result: mail.Failed,
			text: `Child process of t1 transport (running command "/bin/sh") was terminated by signal 9 (Killed)`},
		{name: "timeout", options: []string{"command", "/bin/sleep 60", "timeout", "1s"}, result: mail.Failed, text: "pipe delivery process timed out"},
		{name: "timeout defers", options: []string{"command", "/bin/sh -c 'sleep 60 & wait'", "timeout", "1s", "timeout_defer", "yes"}, result: mail.Deferred, text: "pipe delivery process timed out"},
		{name: "filter timeout", options: []string{"command", "/bin/cat", "transport_filter", "/bin/sleep 60", "transport_filter_timeout", "1s"}, result: mail.Failed,
			text: "transport filter timeout while writing to pipe"},
		{name: "filter fails", options: []string{"command", "/bin/cat", "transport_filter", "/bin/false"}, result: mail.Deferred, errno: mail.ErrnoFilterFail, text: "transport filter process failed (1)"},
		{name: "environment", options: []string{"command", "/bin/true", "environment", strings.Repeat("A=b:", 44)}, result: mail.Deferred, errno: 7, text: "too many environment settings for t1 transport"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := transporttest.New(t, Driver(), c.options...)
			if c.change != nil {
				c.change(f)
			}
			o := f.Deliver(t.Context())
			log := strings.Join(f.LogLines, "\n")
			output := ""
			if o.ReturnFile != "" {
				data, _ := os.ReadFile(o.ReturnFile)
				output = string(data)
			}
			if o.Result != c.result || o.Errno != c.errno || o.Message != c.text || log != c.log || output != c.output || o.Freeze != c.freeze {
				t.Errorf("%+v\nlog %q output %q", o, log, output)
			}
		})
	}
}

// written has the command write what it gets into a file.
func written(t *testing.T, command string, change func(f *transporttest.Fixture), options ...string) string {
	t.Helper()
	dir := t.TempDir()
	f := transporttest.New(t, Driver(), append([]string{"command", strings.ReplaceAll(command, "OUT", dir+"/out")}, options...)...)
	if change != nil {
		change(f)
	}
	if o := f.Deliver(t.Context()); o.Result != mail.Delivered {
		t.Fatalf("%+v", o)
	} else if info, err := os.Stat(dir + "/out"); err != nil || strings.HasPrefix(command, "/bin/sh -c 'cat >") && o.Size != info.Size() {
		t.Errorf("size %d: %v", o.Size, err)
	}
	data, err := os.ReadFile(dir + "/out")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		options []string
		want    string
	}{
		{nil, "From sender@s.test Tue Mar 02 09:44:33 1999\n" + header + "\nFrom the body\n.dot\nlast line\n\n"},
		{[]string{"message_prefix", "", "message_suffix", "", "check_string", "From ", "escape_string", ">From ", "body_only", "yes"}, ">From the body\n.dot\nlast line\n"},
		{[]string{"use_bsmtp", "yes", "use_crlf", "yes", "body_only", "yes"}, "MAIL FROM:<sender@s.test>\r\nRCPT TO:<userx@test.ex>\r\nDATA\r\nFrom the body\r\n..dot\r\nlast line\r\n.\r\n"},
	} {
		if got := written(t, "/bin/sh -c 'cat >OUT'", nil, c.options...); got != c.want {
			t.Errorf("%q: %q", c.options, got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	got := written(t, "/bin/sh -c 'env | sort >OUT; pwd >>OUT; umask >>OUT'", func(f *transporttest.Fixture) {
		f.Main.Timezone = "Europe/Berlin"
		a := f.Run.Addresses[0]
		a.Hosts = []mail.Host{{Name: "h.test"}}
		a.Prefix, a.HomeDirectory, a.CurrentDirectory = "pre-", "/tmp", "/usr"
	}, "environment", "A=b : C=$local_part_data", "path", "/bin:/usr/bin:/x", "umask", "077")
	want := "A=b\nC=userx\nDOMAIN=test.ex\nHOME=/tmp\nHOST=h.test\nLOCAL_PART=userx\nLOCAL_PART_PREFIX=pre-\nLOCAL_PART_SUFFIX=\nLOGNAME=userx\n" +
		"MESSAGE_ID=10HmaX-000000005vi-0000\nPATH=/bin:/usr/bin:/x\nPWD=/usr\nQUALIFY_DOMAIN=q.test\nRECIPIENT=userx@test.ex\nSENDER=sender@s.test\nSHELL=/bin/sh\nTZ=Europe/Berlin\nUSER=userx\n/usr\n0077\n"
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestRedirected(t *testing.T) {
	toPipe := func(text string) func(*transporttest.Fixture) {
		return func(f *transporttest.Fixture) {
			a := f.Run.Addresses[0]
			a.Kind, a.Address = mail.KindPipe, text
		}
	}
	dir := t.TempDir()
	f := transporttest.New(t, Driver(), "log_output", "yes")
	toPipe(`|/bin/echo a 'b c' "d\"e" $x`)(f)
	if o := f.Deliver(t.Context()); o.Result != mail.Delivered || f.LogLines[0] != `<|/bin/echo a 'b c' "d\"e" $x>: t1 transport output: a b c d"e $x` {
		t.Errorf("%+v %q", o, f.LogLines)
	}
	got := written(t, `/bin/sh -c "printf '<%s>' \"\\$@\" >OUT" x -- $address_pipe pre$address_pipe $pipe_addresses`, toPipe("| cmd 'b c'"), "force_command", "yes")
	if want := "<--><cmd><b c><pre| cmd 'b c'><| cmd 'b c'>"; got != want {
		t.Errorf("%q", got)
	}
	f = transporttest.New(t, Driver(), "use_shell", "yes")
	toPipe("| cat >" + dir + "/x; exit 3")(f)
	if o := f.Deliver(t.Context()); o.Result != mail.Failed || o.Message != "Child process of t1 transport returned 3 from command: /bin/sh" {
		t.Errorf("%+v", o)
	}
}

func TestTables(t *testing.T) {
	options.New()
	for _, d := range options.Describe() {
		if d.Doc == "" {
			t.Errorf("%s is not documented", d.Name)
		}
	}
}
