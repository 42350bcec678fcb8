package dmarc

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"exigo/internal/acl"
	"exigo/internal/mail"
)

// schema is where Debian's package has opendmarc's tables.
const schema = "/usr/share/dbconfig-common/data/opendmarc/install/mysql"

// database is a MariaDB of the test's own, reached by a socket only.
type database struct {
	dir, socket string
	credential  *syscall.SysProcAttr
}

// nobody runs servers when the tests are run by root, which MariaDB refuses to be.
const nobody = 65534

// startDatabase starts a server that ends with the test.
func startDatabase(t *testing.T) *database {
	t.Helper()
	for _, name := range []string{"opendmarc-import", "mariadb-install-db", "mariadbd", "mariadb"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed")
		}
	}
	if out, err := exec.Command("opendmarc-import", "--version").CombinedOutput(); err != nil && bytes.Contains(out, []byte("Can't locate")) {
		t.Skipf("opendmarc-import lacks a perl module: %s", out)
	}
	if _, err := os.Stat(schema); err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "exigo") // a short path: that of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &database{dir: dir, socket: filepath.Join(dir, "s")}
	if os.Getuid() == 0 {
		d.credential = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	data := "--datadir=" + filepath.Join(dir, "data")
	if out, err := d.command("mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput(); err != nil {
		t.Skipf("mariadb-install-db: %v\n%s", err, out)
	}
	server := d.command("mariadbd", "--no-defaults", data, "--socket="+d.socket, "--skip-networking", "--pid-file="+filepath.Join(dir, "pid"), "--innodb-buffer-pool-size=8M")
	var output bytes.Buffer
	server.Stdout, server.Stderr = &output, &output
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Signal(syscall.SIGTERM); server.Wait() })
	for deadline := time.Now().Add(30 * time.Second); d.command("mariadb", d.client("-e", "select 1")...).Run() != nil; {
		if time.Now().After(deadline) {
			t.Skipf("the database does not come up:\n%s", output.String())
		}
		time.Sleep(50 * time.Millisecond) // another program's start: there is nothing else to wait for
	}
	return d
}

func (d *database) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.SysProcAttr, c.Dir = d.credential, d.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "LC_ALL=C", "TZ=UTC"}
	return c
}

func (d *database) client(args ...string) []string {
	return append([]string{"--no-defaults", "-uroot", "-S", d.socket, "-N", "-B"}, args...)
}

// query returns the rows, fields separated by bars.
func (d *database) query(t *testing.T, text string) []string {
	t.Helper()
	out, err := d.command("mariadb", d.client("opendmarc", "-e", text)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", text, err, out)
	}
	return strings.Split(strings.ReplaceAll(strings.TrimSuffix(string(out), "\n"), "\t", "|"), "\n")
}

// TestImport loads a history with opendmarc-import.
func TestImport(t *testing.T) {
	d := startDatabase(t)
	path := filepath.Join(d.dir, "history")
	b := newBench(t, "dmarc_history_file = "+path)
	for i, x := range []struct{ from, sender, spf, dkim, arc string }{
		{"a@reject.example", "u@reject.example", "pass reject.example", "pass mail.reject.example", ""},
		{"a@reject.example", "", "fail helo.example", "fail reject.example", "fail"},
		{"a@sub.org.example", "u@other.example", "softfail other.example", "", "pass"},
		{"a@all.example", "u@other.example", "", "temperror other.example", "none"},
		{"a@missing.example", "u@missing.example", "none missing.example", "", ""},
	} {
		m := b.begin(x.from, x.spf, x.dkim)
		m.ID, m.Sender = strings.Replace(m.ID, "1a", string(rune('1'+i))+"a", 1), x.sender
		if x.arc != "" {
			m.Verdicts = append(m.Verdicts, mail.Verdict{Method: "arc", Result: x.arc})
			m.Headers = append(m.Headers, mail.NewHeader("ARC-Seal: i=1; d=list.example; s=seal; b=x\n"))
		}
		if o := b.run(acl.Data, "dmarc_status = *"); o.Verdict != acl.OK {
			t.Fatalf("%+v", o)
		}
		b.end(x.sender != "", acl.Fail)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	tables, err := os.Open(schema)
	if err != nil {
		t.Fatal(err)
	}
	defer tables.Close()
	load := d.command("mariadb", d.client()...)
	load.Stdin = tables
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d.query(t, "create user od@localhost identified by 'pw'; grant all on opendmarc.* to od@localhost")
	out, err := d.command("opendmarc-import", "--dbhost=localhost;mysql_socket="+d.socket, "--dbuser=od", "--dbpasswd=pw", "--input="+path).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("opendmarc-import: %v\n%s", err, out)
	}
	for query, want := range map[string][]string{
		"select jobid, unix_timestamp(date), r.name, i.addr, f.name, e.name, p.name, policy, disp, spf, align_dkim, align_spf, sigcount, arc, arc_policy from messages m join reporters r on r.id = reporter " +
			"join ipaddr i on i.id = ip join domains f on f.id = from_domain join domains e on e.id = env_domain join domains p on p.id = policy_domain order by jobid": {
			"1abcde-000000000Xy-0001|920367873|mx.receiver.example|192.0.2.1|reject.example|reject.example|reject.example|15|2|0|4|4|1|11|1",
			"2abcde-000000000Xy-0001|920367873|mx.receiver.example|192.0.2.1|reject.example||reject.example|16|0|7|5|5|1|7|2",
			"3abcde-000000000Xy-0001|920367873|mx.receiver.example|192.0.2.1|sub.org.example|other.example|org.example|17|4|2|5|5|0|0|0",
			"4abcde-000000000Xy-0001|920367873|mx.receiver.example|192.0.2.1|all.example|other.example|all.example|18|2|6|5|5|1|6|1",
			"5abcde-000000000Xy-0001|920367873|mx.receiver.example|192.0.2.1|missing.example|missing.example|missing.example|14|2|6|5|5|0|11|1",
		},
		"select jobid, d.name, s.name, pass from signatures g join messages m on m.id = g.message join domains d on d.id = g.domain join selectors s on s.id = g.selector order by jobid": {
			"1abcde-000000000Xy-0001|mail.reject.example|sel|0", "2abcde-000000000Xy-0001|reject.example|sel|7", "4abcde-000000000Xy-0001|other.example|sel|4",
		},
		"select d.name, repuri, adkim, aspf, policy, spolicy, pct from requests join domains d on d.id = domain order by d.name": {
			"all.example||114|114|110|0|100", "missing.example||114|114|0|0|100", "reject.example|mailto:a@reject.example|114|114|114|0|100", "sub.org.example||114|114|114|113|100", // by author
		},
		"select d.name, s.name, instance from arcseals a join domains d on d.id = a.domain join selectors s on s.id = selector": {"list.example|seal|1"},
	} {
		if got := d.query(t, query); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\n got %s\nwant %s", query, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
}
