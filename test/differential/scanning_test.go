package differential

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"exigo/test/blackbox"
)

const (
	malwareACL = "  warn malware = ARGUMENT\n    logwrite = $callout_address <$malware_name> <$av_failed>\n  accept logwrite = <$malware_name> <$av_failed>\n"
	spamACL    = "  warn spam = ARGUMENT\n    logwrite = spam\n  accept logwrite = $callout_address <$spam_score> <$spam_score_int> <$spam_bar> <$spam_action> <$spam_report>\n"
	regexACL   = "  warn regex = ARGUMENT\n  accept logwrite = <$regex_match_string> <$regex1> <$regex2>\n"
)

// scanning is a question: options, an ACL, the argument of its condition, and what the daemon does, if there is one: "<" hears a line, "<<" all until nothing comes for a
// moment, ">" says something.
type scanning struct {
	options, acl, argument string
	steps                  []string
}

// scannings are questions to which both programs are meant to have the same answer.
func scannings() (list []scanning) {
	malware := func(options string, steps ...string) {
		list = append(list, scanning{"av_scanner = " + options, malwareACL, "*/tmo=5s", steps})
	}
	for _, answer := range []string{"x: OK\n", "x: OK", "x: Eicar-Test FOUND\n", "x: Eicar-Test(abc:12) FOUND\n", "x: 666 ERROR\n", "garbage\n", "x: blah\n"} {
		malware("clamd:SOCK", "<", ">"+answer)
		malware("clamd:HOST", "<<", ">"+strings.ReplaceAll(answer, "\n", "\x00"))
		malware("clamd:HOST:local", "<", ">"+answer)
	}
	malware("clamd:SOCK", "<")
	for _, answer := range []string{"0 fine", "1:W32/Foo", "1 W32 Foo\n", "-1 x"} {
		malware("sophie:SOCK", "<", ">"+answer)
	}
	malware("sophie:SOCK", "<")
	for _, answer := range []string{"INFECTED\tf\tEICAR Test\tavp\nINFECTED\tf\tB\tx\nOK\tScan ok.\n", "OK\tScan ok.\n", "FOO\tx\nOK\tScan ok.\n"} {
		malware("fsecure:SOCK", "<", ">OK\tx\n", "<", ">OK\tx\n", "<", ">OK\tx\n", "<", ">OK\tx\n", "<", ">"+answer)
	}
	for _, answer := range []string{"/x\t[+]\n200 SCAN OK\n", "/x\t[L]0.0\t0 Eicar\\ [Heur]\n200 SCAN OK\n", "/x\t[E]0.0\tError 13 Permission\\ denied\n451 SCAN Engine error 13\n",
		"/x\t[E]0.0\tError 42110 ZIP\\ bomb\n200 SCAN OK\n", "/x\t[E]0.0\tError 42110 ZIP\\ bomb\n/y\t[L]0.0\t0 Virus\n200 SCAN OK\n"} {
		malware("avast:SOCK", ">220 ready\n", "<", ">210 SCAN DATA\n"+answer, "<")
		malware("avast:HOST:pass_unscanned:FLAGS -fullfiles", ">220 ready\n", "<", ">210 FLAGS DATA\n200 FLAGS OK\n", "<", ">210 SCAN DATA\n"+answer, "<")
	}
	malware("avast:SOCK", ">500 no\n", "<")
	for _, answer := range []string{"0 <clean> x\n", "1 <infected: EICAR Test> x\n", "2 <infected: EICAR> x\n", "64 <clean>\n", "16 <foo>\n"} {
		malware("f-prot6d:HOST", "<", ">"+answer, "<")
	}
	malware("drweb:SOCK", "<<", ">\x00\x00\x00\x00\x00\x00\x00\x00")
	malware("drweb:HOST", "<<", ">\x00\x00\x80\x00\x00\x00\x00\x00")
	malware("drweb:SOCK", "<<", ">\x00\x00\x00\x00")
	for _, options := range []string{"SCAN %s:VIRUS:VIRUS (.*)", "SCAN:VIRUS:NOPE (.*)", "SCAN:nope:VIRUS (.*)", "SCAN:(SPAM|VIRUS):(.*)$"} {
		malware("sock:SOCK:"+options, "<<", ">x VIRUS Foo bar\n")
	}
	for _, options := range []string{"cmdline:/bin/echo hello %s:hello:(h.*)$", "cmdline:/bin/echo hello %s:nope:(h.*)$", "cmdline:/bin/echo hello %s:hello:nope", "cmdline:/nonexist %s:a:b",
		"cmdline:/bin/echo %s:(:b", "cmdline:/bin/echo %s", "cmdline:/bin/echo %s:a", "clamd:127.0.0.1 1 foo=1s", "clamd:127.0.0.1", "clamd:SOCK", "clamd:HOST", "foo:bar", "$acl_m9", "${if{",
		"${if eq{a}{b}{x}fail}", "avast:127.0.0.1", "sophie:SOCK", "f-prot6d:HOST", "f-protd:127.0.0.1 xx", "sock:SOCK:%s:a:b", "sock:HOST:%s:a:b"} {
		malware(options)
	}
	for _, argument := range []string{"true", "1", "false", "0", "", "Eicar", "eicar", "*/defer_ok", "* / tmo=10s", "*/tmo=x", "*/foo", "Ei[", "a//b", "TRUE", "<, Eicar,defer_ok"} {
		list = append(list, scanning{"av_scanner = clamd:SOCK", malwareACL, argument, []string{"<", ">x: Eicar-Test FOUND\n"}})
	}
	return append(list, spamQuestions()...)
}

func spamQuestions() (list []scanning) {
	spam := func(address, argument string, steps ...string) {
		list = append(list, scanning{"spamd_address = " + address, spamACL, argument, steps})
	}
	for _, line := range []string{"True ; 15.3 / 5.0", "False ; 4.96 / 5.0", "False ; -2.35 / 5.0", "False ; 0.0 / 5.0", "True ; -3.5 / -5.0", "True ; abc / 5.0", "True"} {
		spam("HOST", "nobody", "<<", ">SPAMD/1.1 0 EX_OK\r\nSpam: "+line+"\r\n\r\nrep line 1\r\n\r\nrep line 3\r\n")
	}
	spam("SOCK", "nobody", "<<", ">SPAMD/1.0 0 EX_OK\r\nSpam: True ; 6 / 5\r\n")
	spam("HOST", "nobody", "<<", ">SPAMD/1.1 76 Bad header line\r\nSpam: True ; 6.0 / 5.0\r\n")
	spam("HOST", "nobody", "<<")
	metric := "RSPAMD/1.3 0 EX_OK\r\nMetric: default; True; 12.30 / 15.00 / 0.0\r\n"
	for _, answer := range []string{metric + "Action: reject\r\nSymbol: A(1.00)\r\nMessage-ID: x\r\n\r\n", metric, "RSPAMD/1.3 0 EX_OK\r\nMetric: default; False; 1 / 2\r\nAction: x\r\n", "HTTP/1.1 200 OK\r\n\r\n{}", ""} {
		spam("HOST variant=rspamd", "nobody", "<<", ">"+answer)
	}
	fine := ">SPAMD/1.1 0 EX_OK\r\nSpam: False ; 4.0 / 5.0\r\n\r\n"
	for _, options := range []string{"foo", "tmo=x", "pri=x", "weight=x", "time=x", "variant=foo", "retry=q", "weight=0"} {
		spam("HOST "+options, "nobody", "<<", fine)
	}
	for _, argument := range []string{"joe", "joe:true", "joe:true/defer_ok", "joe/defer_ok", "0", "false", "", "true", "joe:foo", "joe bloe", "FALSE", "joe:true:x", "nobody/foo"} {
		spam("HOST", argument, "<<", fine)
	}
	for _, address := range []string{"127.0.0.1", "127.0.0.1 xx", "HOST", "SOCK", "$acl_m9", "${if{", "${if eq{a}{b}{}fail}"} {
		spam(address, "joe/defer_ok")
	}
	for _, argument := range []string{"foo (b..)", "nomatch", "(?i)FOO", "foo bar : zzz", "^body", "^From MAILER", "^X-Envelope-To(::) (.*)", "one\\\\N\\\\n\\\\N two", "((f)(o)(o))", "[", "zzz : [ : foo", "",
		"a{999999}", "<; foo.bar ; (d)ot", "line (1::)", "last (.) line", "$acl_m0"} {
		list = append(list, scanning{"", regexACL, argument, nil})
	}
	return list
}

const scanningConfiguration = `exim_user = 65534
exim_group = 65534
primary_hostname = mx.test
qualify_domain = test.ex
keep_environment =
spool_directory = DIR/spool
log_file_path = DIR/log/%slog
queue_only
acl_smtp_rcpt = accept
acl_smtp_data = data
OPTIONS
begin acl
data:
`

// answer asks a program; what it says has message ids and times replaced.
func (x scanning) answer(t *testing.T, program string) string {
	dir := t.TempDir()
	for _, name := range []string{dir + "/spool", dir + "/log"} {
		os.Mkdir(name, 0o750)
		os.Chown(name, 65534, 65534)
	}
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	socket, host, heard := "", "127.0.0.1 1", make(chan chan string, 2)
	if x.steps != nil {
		base, err := os.MkdirTemp("", "scan")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(base)
		os.Chmod(base, 0o755)
		socket = base + "/socket"
		for network, address := range map[string]string{"unix": socket, "tcp": "127.0.0.1:0"} {
			l, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if network == "tcp" {
				host = strings.ReplaceAll(l.Addr().String(), ":", " ")
			}
			go x.serve(l, heard)
		}
		os.Chmod(socket, 0o777)
	} else {
		socket = dir + "/none"
	}
	names := strings.NewReplacer("SOCK", socket, "HOST", host, "DIR", dir)
	text := names.Replace(strings.Replace(scanningConfiguration, "OPTIONS", x.options, 1)) + strings.Replace(x.acl, "ARGUMENT", x.argument, 1)
	if err := os.WriteFile(dir+"/conf", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), blackbox.Patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, "-C", dir+"/conf", "-oMa", "192.0.2.1", "-oMs", "client.test", "-bs")
	command.Dir = "/"
	command.Stdin = strings.NewReader("EHLO x\r\nMAIL FROM:<s@test.ex>\r\nRCPT TO:<u@test.ex>\r\nRCPT TO:<v@test.ex>\r\nDATA\r\nSubject: hello\r\nX-A: one\r\n two\r\n\r\nbody line 1: foo bar\r\n..dot\r\nlast \xe4 line\r\n.\r\nQUIT\r\n")
	out, _ := command.Output()
	main, _ := os.ReadFile(dir + "/log/mainlog")
	panicked, _ := os.ReadFile(dir + "/log/paniclog")
	told := ""
	select {
	case session := <-heard:
		told = <-session // it ends, since the program has
	default:
	}
	replies := ""
	for line := range strings.SplitSeq(string(out), "\r\n") {
		if strings.HasPrefix(line, "4") || strings.HasPrefix(line, "5") || strings.HasPrefix(line, "250 OK id=") {
			replies += line + "\n"
		}
	}
	all := strings.NewReplacer(dir, "DIR", socket, "SOCK", host, "HOST", strings.ReplaceAll(host, " ", "]:"), "HOST").Replace(replies + string(main) + "--\n" + string(panicked) + "--\n" + told)
	for _, r := range scanningNoise {
		all = r.pattern.ReplaceAllString(all, r.with)
	}
	return all
}

// scanningNoise is what differs from run to run, or between the programs, and means nothing here.
var scanningNoise = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{stamp, ""}, {regexp.MustCompile(`(?m)^\S+ <= .*$`), "<="}, {regexp.MustCompile(`\b[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}\b`), "ID"},
	{regexp.MustCompile(`(?s)Received: .*?\+0000\n`), "Received: ...\n"}, {regexp.MustCompile(`MAILER-DAEMON .*`), "MAILER-DAEMON"},
	{regexp.MustCompile(`(?s)zINSTREAM\x00....`), "zINSTREAM"}, {regexp.MustCompile(`(?s)^(.*--\n.*--\n)\x00\x00\x00\x01\x00\x08\x00\x01.{8}`), "${1}drweb"},
	{regexp.MustCompile(`Content-length: \d+`), "Content-length: N"},
}

// serve plays the daemon once. A channel with what it hears is sent when it begins.
func (x scanning) serve(l net.Listener, heard chan<- chan string) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	session := make(chan string, 1)
	heard <- session
	defer c.Close()
	var told strings.Builder
	for _, step := range x.steps {
		switch {
		case step == "<<":
			c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			io.Copy(&told, c)
			c.SetReadDeadline(time.Time{})
		case step == "<":
			for p := make([]byte, 1); p[0] != '\n'; told.Write(p) {
				if _, err := c.Read(p); err != nil {
					break
				}
			}
		default:
			io.WriteString(c, step[1:])
		}
	}
	session <- told.String()
}

// TestScanning compares how the programs talk to scanners, what they log and what they answer.
func TestScanning(t *testing.T) {
	exim := oracle(t)
	if os.Geteuid() != 0 {
		t.Skip("Exim takes configurations from root only")
	}
	place := blackbox.New(t)
	for i, x := range scannings() {
		if i%3 != 0 && !blackbox.Long() {
			continue
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			if theirs, ours := x.answer(t, exim), x.answer(t, place.Binary); ours != theirs {
				t.Errorf("%+v\n  we:   %q\n  exim: %q", x, ours, theirs)
			}
		})
	}
}
