package atrn_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"exigo/internal/catalog"
	"exigo/internal/feature/atrn"
	"exigo/internal/mail"
	"exigo/internal/smtpserver"
	"exigo/internal/testkit"
)

const provider = `
primary_hostname = mx.provider.test
exim_user = root
keep_environment =
spool_directory = $DIR/spool
log_file_path = $DIR/%slog
queue_only
queue_run_in_order
acl_smtp_atrn = ${if match_domain{$sender_helo_name}{nobody.test}{}{atrn}}
acl_smtp_rcpt = accept
begin acl
atrn:
  deny    message = 450 not yours
          condition = ${if eq {$smtp_command_argument}{other.test}}
  accept  queue = q1
          atrn_domains = apart.test
  accept  queue =
          atrn_domains = <, a.test, B.test
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if eq {$auth3}{secret}}
  server_set_id = $auth2
begin routers
customer:
  driver = manualroute
  condition = ${if eq {$atrn_mode}{P}}
  route_data = <;$atrn_host
  self = send
  transport = line
begin transports
line:
  driver = smtp
begin retry
* * F,1h,1m
`

// dialogue plays a client on a connection: lines that begin with "< " are the beginnings of what the other side must say, others are sent; | in them is
// a line end.
func dialogue(t *testing.T, c net.Conn, script string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	in := bufio.NewReader(c)
	for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
		want, reading := strings.CutPrefix(line, "< ")
		if !reading {
			io.WriteString(c, strings.ReplaceAll(line, "|", "\r\n")+"\r\n")
			continue
		}
		for {
			got, err := in.ReadString('\n')
			if err != nil && want != "EOF" || err == nil && want == "EOF" {
				t.Fatalf("%q, %v where %q should be", got, err, want)
			}
			if err != nil || strings.HasPrefix(got, want) {
				break
			}
			if len(got) < 4 || got[3] != '-' { // not the middle of a reply
				t.Fatalf("%q where %q should be", got, want)
			}
		}
	}
}

// load makes a server of a configuration; $DIR in it is its folder.
func load(t *testing.T, world *testkit.Fake, text string) (server *catalog.Server, dir string) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "config")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "$DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := catalog.Load(context.Background(), catalog.Request{World: world.World, Path: path, Alternate: true, Unprivileged: true})
	if err != nil {
		t.Fatal(err)
	}
	return server, dir
}

func TestProvider(t *testing.T) {
	ctx := context.Background()
	server, dir := load(t, testkit.NewWorld(t), provider)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	talk := func(script string) {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		served, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var session sync.WaitGroup
		session.Go(func() { server.ServeSMTP(ctx, served, false) })
		defer session.Wait() // messages are free again
		defer c.Close()
		dialogue(t, c, script)
	}
	login := "< 220\nEHLO c\n< 250-ATRN\n< 250 \nAUTH PLAIN AHVzZXJ4AHNlY3JldA==\n< 235\n"
	queue := func(to ...string) {
		t.Helper()
		script := "< 220\nEHLO c\n< 250 \nMAIL FROM:<s@b.example>\n< 250\n"
		for _, a := range to {
			script += "RCPT TO:<" + a + ">\n< 250\n"
		}
		talk(script + "DATA\n< 354\nSubject: x||text|.\n< 250\nQUIT\n< 221")
	}
	talk("< 220\nEHLO nobody.test\n< 250-8BITMIME\n< 250 \nATRN\n< 502 ATRN command used when not advertised\nQUIT\n< 221")
	talk("< 220\nEHLO c\n< 250-ATRN\n< 250 \nATRN\n< 530 ATRN is not permitted without authentication\nQUIT\n< 221")
	talk(login + "ATRN other.test\n< 450 not yours\nATRN\n< 450 Administrative\nMAIL FROM:<>\n< 250\nATRN\n< 503 ATRN is not permitted inside a transaction\nQUIT\n< 221")
	queue("one@A.test", "two@elsewhere.test")
	queue("three@b.test")
	queue("four@elsewhere.test")
	turn := login + "ATRN\n< 250 ODMR provider turning line around\n220 customer\n< EHLO mx.provider.test\n250-customer\n250 PIPELINING\n"
	first := "< MAIL FROM:<s@b.example>\n250 OK\n< RCPT TO:<one@A.test>\n250 OK\n< DATA\n354 go\n"
	// The line breaks in the first message; at the next time the customer refuses one recipient and takes the other message.
	talk(turn + first + "< Received:")
	talk(turn + first[:strings.LastIndex(first, "250 OK")] + "550 unknown\n< RSET\n250 OK\n< MAIL FROM:<s@b.example>\n250 OK\n< RCPT TO:<three@b.test>\n451 later\n< QUIT\n221 bye\n< EOF")
	talk(turn + "< MAIL FROM:<s@b.example>\n250 OK\n< RCPT TO:<three@b.test>\n250 OK\n< DATA\n354 go\n< Received:\n< \t\n< \t\n< \t\n< \t\n< \t\n< Subject: x\n< \r\n< text\n< .\n250 taken\n< QUIT\n221 bye\n< EOF")
	talk(login + "ATRN\n< 450 Administrative\nQUIT\n< 221")
	l.Close()
	server.Close()
	data, _ := os.ReadFile(filepath.Join(dir, "mainlog"))
	log := testkit.Normalize(string(data), dir)
	for _, want := range []string{"ATRN '' received from (c) [127.0.0.1]\n", "Start ODMR queue run: pid=1234 -qq -Rr @(a.test|b.test)\n",
		"ID1 == one@a.test R=customer T=line defer (-18) H=127.0.0.1 [127.0.0.1]: Remote host closed connection in response to end of data\n",
		"ID1 ** one@a.test R=customer T=line", "ID2 => three@b.test R=customer T=line H=127.0.0.1 [127.0.0.1] C=\"250 taken\"\n", "ID2 Completed\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	// What is not the customer's stays, and a line that broke ends the run.
	for _, none := range []string{"elsewhere.test", "ID1 Completed", "in response to ATRN"} {
		if strings.Contains(log, none) {
			t.Errorf("the log has %q", none)
		}
	}
	if t.Failed() {
		t.Log(log)
	}
}

const customer = `
primary_hostname = customer.test
exim_user = root
keep_environment =
spool_directory = $DIR/spool
log_file_path = $DIR/%slog
queue_only
acl_smtp_rcpt = accept
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^userx^secret
begin routers
to_provider:
  driver = manualroute
  condition = ${if eq {$atrn_mode}{C}}
  route_data = $atrn_host
  self = send
  transport = call
begin transports
call:
  driver = smtp
  port = 366
  hosts_require_auth = *
`

// TestCustomer: both sides, as -atrn has them meet: the first time there is mail, the second time there is none.
func TestCustomer(t *testing.T) {
	ctx := context.Background()
	there, thereDir := load(t, testkit.NewWorld(t), provider)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	world := testkit.NewWorld(t)
	world.Zones.Add("mx.provider.test. A 192.0.2.10")
	world.Network.Map("192.0.2.10:366", l.Addr().String())
	here, hereDir := load(t, world, customer)
	session := func(client func()) {
		t.Helper()
		var both sync.WaitGroup
		both.Go(func() {
			if c, err := l.Accept(); err == nil {
				there.ServeSMTP(ctx, c, false)
			}
		})
		client()
		both.Wait()
	}
	session(func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		dialogue(t, c, "< 220\nEHLO c\n< 250 \nMAIL FROM:<s@b.example>\n< 250\nRCPT TO:<one@a.test>\n< 250\nDATA\n< 354\nSubject: x||text|.\n< 250\nQUIT\n< 221")
	})
	fetch := func() (err error) {
		session(func() {
			m := &mail.Message{Session: &mail.Session{}, SenderSet: true}
			atrn.Customer(m, "mx.provider.test")
			c, h, problem := here.ConnectTo(ctx, m, "atrn@mx.provider.test")
			if problem != nil {
				t.Fatal(problem)
			}
			defer c.Close()
			if err = atrn.Ask(c, "a.test, b.test"); err != nil {
				c.Quit()
				return
			}
			conn, problem := c.Detach()
			if problem != nil {
				t.Fatal(problem)
			}
			here.SMTP.Serve(ctx, conn, smtpserver.Start{Noun: &mail.Session{Host: h.Address, Port: h.Port}})
		})
		return err
	}
	if err := fetch(); err != nil {
		t.Errorf("the first time: %v", err)
	}
	var refused *atrn.Refused
	if err := fetch(); !errors.As(err, &refused) || refused.Code != 450 {
		t.Errorf("the second time: %v", err)
	}
	here.Close()
	there.Close()
	read := func(dir string) string {
		data, _ := os.ReadFile(filepath.Join(dir, "mainlog"))
		return testkit.Normalize(string(data), dir)
	}
	if log := read(hereDir); !strings.Contains(log, "ID1 <= s@b.example H=(mx.provider.test) [192.0.2.10] P=esmtp ") {
		t.Errorf("the customer's log:\n%s", log)
	}
	if log := read(thereDir); !strings.Contains(log, "ATRN 'a.test,b.test' received from (customer.test) [127.0.0.1]") || !strings.Contains(log, " => one@a.test R=customer T=line H=127.0.0.1 [127.0.0.1] X=TLS1.3:") {
		t.Errorf("the provider's log:\n%s", log)
	}
}
