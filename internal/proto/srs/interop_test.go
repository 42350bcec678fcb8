package srs

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// perlScript forwards or reverses addresses with Mail::SRS; secret and addresses are arguments.
const perlScript = `use Mail::SRS; my ($what, $secret, @list) = @ARGV;
my $srs = Mail::SRS->new(Secret => $secret, HashLength => 4, MaxAge => 31);
for (@list) { my $out = eval { $what eq "forward" ? $srs->forward($_, "fwd.example") : $srs->reverse($_) }; print defined $out ? $out : "ERROR", "\n" }`

// today runs check with a time, again if midnight came between.
func today(t *testing.T, check func(now time.Time) string) {
	t.Helper()
	for {
		start := time.Now()
		problem := check(start)
		if day(start) != day(time.Now()) {
			continue
		}
		if problem != "" {
			t.Error(problem)
		}
		return
	}
}

// senders are addresses that other hops may have rewritten; each of a counterpart and we must make the same of them, and find back.
func senders(now time.Time) []string {
	other := &Guarded{Secrets: []string{"another"}, HashLength: 5}
	once := other.Forward("user@orig.example", "second.example", now)
	return []string{"user@orig.example", "User.Name@Orig.Example", "a=b@orig.example", once, other.Forward(once, "third.example", now)}
}

// compare checks that a counterpart rewrites as we do, and that each reads what the other wrote.
func compare(now time.Time, forward, reverse func(list []string) ([]string, error)) string {
	g := &Guarded{Secrets: []string{"s3cret"}, HashLength: 4, MaxAge: 31}
	list := senders(now)
	var ours, want []string
	for _, s := range list {
		address := g.Forward(s, "fwd.example", now)
		ours = append(ours, address)
		back, _, err := g.Reverse(strings.TrimSuffix(address, "@fwd.example"), now)
		if err != nil {
			return fmt.Sprintf("%s: %v", address, err)
		}
		want = append(want, back)
	}
	theirs, err := forward(list)
	if err != nil || fmt.Sprint(theirs) != fmt.Sprint(ours) {
		return fmt.Sprintf("they write %v (%v), we %v", theirs, err, ours)
	}
	back, err := reverse(ours)
	if err != nil || !strings.EqualFold(fmt.Sprint(back), fmt.Sprint(want)) {
		return fmt.Sprintf("they read %v (%v), we %v", back, err, want)
	}
	if !strings.HasPrefix(ours[3], "SRS1=") || want[0] != list[0] || want[3] != list[3] || want[4] != list[3] {
		return fmt.Sprintf("%v %v", ours, want)
	}
	return ""
}

func TestMailSRS(t *testing.T) {
	if exec.Command("perl", "-MMail::SRS", "-e", "1").Run() != nil {
		t.Skip("the perl module Mail::SRS is not installed")
	}
	call := func(what string) func([]string) ([]string, error) {
		return func(list []string) ([]string, error) {
			out, err := exec.Command("perl", append([]string{"-e", perlScript, what, "s3cret"}, list...)...).Output()
			return strings.Fields(string(out)), err
		}
	}
	today(t, func(now time.Time) string { return compare(now, call("forward"), call("reverse")) })
}

// freePort asks for a port that nothing listens on.
func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// ask puts questions to one of postsrsd's tables, in Postfix's tcp_table protocol.
func ask(port string, list []string) (answers []string, err error) {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(conn)
	for _, address := range list {
		if _, err := fmt.Fprintf(conn, "get %s\n", strings.NewReplacer("%", "%25", "+", "%2B").Replace(address)); err != nil {
			return answers, err
		}
		reply, err := in.ReadString('\n')
		if err != nil {
			return answers, err
		}
		text, ok := strings.CutPrefix(strings.TrimSpace(reply), "200 ")
		if !ok {
			return answers, fmt.Errorf("%s: %s", address, strings.TrimSpace(reply))
		}
		for _, c := range []string{"+", "/", "="} {
			text = strings.ReplaceAll(text, fmt.Sprintf("%%%02X", c[0]), c)
		}
		answers = append(answers, text)
	}
	return answers, nil
}

func TestPostsrsd(t *testing.T) {
	path, err := exec.LookPath("postsrsd")
	if err != nil {
		if path = "/usr/sbin/postsrsd"; exec.Command("test", "-x", path).Run() != nil {
			t.Skip("postsrsd is not installed")
		}
	}
	secrets := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(secrets, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	forward, reverse := freePort(t), freePort(t)
	c := exec.Command(path, "-f", forward, "-r", reverse, "-d", "fwd.example", "-s", secrets, "-l", "127.0.0.1", "-n4", "-N4", "-t", "60")
	if err := c.Start(); err != nil {
		t.Skip(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", "127.0.0.1:"+reverse)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Skipf("postsrsd does not answer: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // another program's start: there is nothing else to wait for
	}
	today(t, func(now time.Time) string {
		return compare(now, func(list []string) ([]string, error) { return ask(forward, list) }, func(list []string) ([]string, error) { return ask(reverse, list) })
	})
}

// TestOracle compares the native form with Exim's, to the byte.
func TestOracle(t *testing.T) {
	path, err := exec.LookPath("exim4")
	if err != nil {
		t.Skip("exim4 is not installed")
	}
	today(t, func(now time.Time) string {
		for _, sender := range []string{"a@b", "User@Orig.Example", "SRS0=5a8d=BC=o.ex=u@f.ex", ""} {
			ours, err := Encode("secret", sender, "c.d", now)
			if err != nil {
				return err.Error()
			}
			out, err := exec.Command(path, "-be", "${srs_encode {secret}{"+sender+"}{c.d}}").Output()
			if theirs := strings.TrimSuffix(string(out), "\n"); err != nil || theirs != ours {
				return fmt.Sprintf("%s: they write %s (%v), we %s", sender, theirs, err, ours)
			}
			if ours == "" {
				continue
			}
			local := strings.TrimSuffix(ours, "@c.d")
			out, err = exec.Command(path, "-be", "${if inbound_srs {"+local+"}{secret}{$srs_recipient}{no}}").Output()
			if theirs := strings.TrimSuffix(string(out), "\n"); err != nil || !strings.EqualFold(theirs, sender) { // they give lower case
				return fmt.Sprintf("%s: they read %s (%v)", ours, theirs, err)
			}
		}
		return ""
	})
}
