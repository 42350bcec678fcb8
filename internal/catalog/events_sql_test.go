package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"exigo/internal/lookup/lookuptest"
	"exigo/internal/testkit"
)

// The statements are those of the document that introduced the options, and of the specification's chapter on events.
const (
	recordDelivery = `${lookup pgsql {SELECT * FROM record_Delivery( \
    '${quote_pgsql:$sender_address_domain}',\
    '${quote_pgsql:${lc:$sender_address_local_part}}', \
    '${quote_pgsql:$tpda_delivery_domain}', \
    '${quote_pgsql:${lc:$tpda_delivery_local_part}}', \
    '${quote_pgsql:$tpda_delivery_ip}', \
    '${quote_pgsql:${lc:$tpda_delivery_fqdn}}', \
    '${quote_pgsql:$message_exim_id}')}}`
	recordEvent = `${if eq {msg:delivery}{$event_name} \
{${lookup pgsql {SELECT * FROM record_Delivery( \
    '${quote_pgsql:$sender_address_domain}',\
    '${quote_pgsql:${lc:$sender_address_local_part}}', \
    '${quote_pgsql:$domain}', \
    '${quote_pgsql:${lc:$local_part}}', \
    '${quote_pgsql:$host_address}', \
    '${quote_pgsql:${lc:$host}}', \
    '${quote_pgsql:$message_exim_id}')}} \
} {}}`
	recordDeferral = `${lookup mysql {insert into delivlog set \
       msgid = '${quote_mysql:$message_exim_id}', \
       senderlp = '${quote_mysql:${lc:$sender_address_local_part}}', \
       senderdom = '${quote_mysql:$sender_address_domain}', \
       delivlp = '${quote_mysql:${lc:$tpda_delivery_local_part}}', \
       delivdom = '${quote_mysql:$tpda_delivery_domain}', \
       delivip = '${quote_mysql:$tpda_delivery_ip}', \
       delivport = '${quote_mysql:$tpda_delivery_port}', \
       delivfqdn = '${quote_mysql:$tpda_delivery_fqdn}', \
       deliverrno = '${quote_mysql:$tpda_defer_errno}', \
       deliverrstr = '${quote_mysql:$tpda_defer_errstr}' \
       }}`
)

// deliverWith delivers a message from Quoter'S@s.test to X'Y@away.test, whose first host cannot be reached, with lines for the main section and
// for the transport.
func deliverWith(t *testing.T, main, options string) {
	t.Helper()
	dir := t.TempDir()
	e := &testkit.Environment{Directory: dir, World: testkit.NewWorld(t), Configuration: filepath.Join(dir, "config")}
	sink := testkit.NewSink(t)
	e.World.Network.Fail("192.0.2.51:25", syscall.EHOSTUNREACH)
	e.World.Network.Map("192.0.2.52:25", sink.Address)
	text := "primary_hostname = mx.test\nexim_user = root\nkeep_environment =\nspool_directory = " + dir + "/spool\nlog_file_path = " + dir + "/log/%slog\ntls_advertise_hosts =\n" +
		"acl_smtp_rcpt = accept\n" + main +
		"begin routers\nall:\n  driver = manualroute\n  route_list = * 192.0.2.51:192.0.2.52\n  hosts_randomize = no\n  transport = smtp\nbegin transports\nsmtp:\n  driver = smtp\n" + options +
		"begin retry\n* * F,1d,1h\n"
	if err := os.WriteFile(e.Configuration, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"spool", "log"} {
		os.Mkdir(filepath.Join(dir, d), 0o750)
	}
	instance := startScript(t, e)
	c, err := instance.Connect()
	if err != nil {
		t.Fatal(err)
	}
	talk := "S: 220...\nC: HELO client.test\nS: 250...\nC: MAIL FROM:<Quoter'S@s.test>\nS: 250 OK\nC: RCPT TO:<X'Y@away.test>\nS: 250 Accepted\nC: DATA\nS: 354...\nC: Subject: x\nC: \nC: .\nS: 250 OK id=...\nC: QUIT\nS: 221..."
	if err := testkit.Converse(c, testkit.Client, talk); err != nil {
		t.Error(err)
	}
	c.Close()
	instance.Stop()
	mainlog, _ := os.ReadFile(dir + "/log/mainlog")
	t.Logf("%s", mainlog)
	if panics, err := os.ReadFile(dir + "/log/paniclog"); err == nil {
		t.Errorf("panic log: %s", panics)
	}
}

// TestRowsInPostgreSQL: the rows of deliveries arrive, in the older form of the action and in today's.
func TestRowsInPostgreSQL(t *testing.T) {
	d := lookuptest.NewDaemon(t, "postgres", "initdb", "postgres", "psql")
	d.End = syscall.SIGINT // does not wait for sessions
	d.Run(t, "", "initdb", "-D", d.Dir+"/data", "-A", "trust", "-U", "postgres", "--no-sync", "--no-instructions")
	d.Start(t, "database system is ready to accept connections", "postgres", "-D", d.Dir+"/data", "-k", d.Dir, "-h", "", "-c", "fsync=off", "-c", "shared_buffers=1MB")
	ask := func(statement string) string {
		return d.Run(t, statement, "psql", "-qAt", "-h", d.Dir, "-U", "postgres", "-v", "ON_ERROR_STOP=1")
	}
	ask(`create table rows(sd text, sl text, d text, l text, ip text, host text, id text);
create function record_Delivery(text,text,text,text,text,text,text) returns int language sql as $$ insert into rows values($1,$2,$3,$4,$5,$6,$7); select 1 $$;`)
	servers := fmt.Sprintf("hide pgsql_servers = (%s/.s.PGSQL.5432)/postgres/postgres/\n", d.Dir)
	for _, option := range []string{"tpda_delivery_action = " + recordDelivery, "event_action = " + recordEvent} {
		deliverWith(t, servers, "  "+option+"\n")
		if got := ask("select sd,sl,d,l,ip,host,length(id) from rows; delete from rows"); got != "s.test|quoter's|away.test|x'y|192.0.2.52|192.0.2.52|23\n" {
			t.Errorf("%.30s: %q", option, got)
		}
	}
}

// TestRowsInMariaDB: the row of an unreachable host arrives.
func TestRowsInMariaDB(t *testing.T) {
	d := lookuptest.NewDaemon(t, "mysql", "mariadbd", "mariadb-install-db", "mariadb")
	d.Run(t, "", "mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--datadir="+d.Dir+"/data")
	d.Start(t, "ready for connections", "mariadbd", "--no-defaults", "--datadir="+d.Dir+"/data", "--socket="+d.Dir+"/sock", "--bind-address=127.0.0.1", "--port="+strconv.Itoa(d.Port),
		"--innodb-buffer-pool-size=8M", "--performance-schema=off", "--pid-file="+d.Dir+"/pid", "--skip-name-resolve")
	ask := func(statement string) string {
		return d.Run(t, statement, "mariadb", "--no-defaults", "-N", "-S", d.Dir+"/sock", "-uroot")
	}
	ask("create database d; create table d.delivlog(msgid text, senderlp text, senderdom text, delivlp text, delivdom text, delivip text, delivport int, delivfqdn text, deliverrno int, deliverrstr text)")
	deliverWith(t, "hide mysql_servers = ("+d.Dir+"/sock)/d/root/\n", "  tpda_host_defer_action = "+recordDeferral+"\n")
	want := "23\tquoter's\ts.test\tx'y\taway.test\t192.0.2.51\t25\t192.0.2.51\t113\tNo route to host\n"
	if got := ask("select length(msgid),senderlp,senderdom,delivlp,delivdom,delivip,delivport,delivfqdn,deliverrno,deliverrstr from d.delivlog"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
