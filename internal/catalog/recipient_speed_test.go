package catalog

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/testkit"
)

// recipientConfig checks recipients in about 30 lines, without DNS and callouts, and routes those it takes.
const recipientConfig = `domainlist local_domains = bench.test
domainlist relay_to_domains = remote.test : *.relay.test
domainlist big_relay_domains = a.example : b.example : *.c.example : d.example : ^mail\\d+\\.example\$ : e.example : f.example : g.example
hostlist bad_hosts = 192.0.2.0/24 : 198.51.100.0/24 : 203.0.113.0/24 : 10.1.2.3 : 10.1.2.4 : 2001:db8::/32
hostlist good_hosts = 172.16.0.0/12 : 192.168.0.0/16 : 10.0.0.0/8
addresslist bad_senders = *@spam.example : spammer@*.example : ^bulk\\d+@ : nobody@client.example
acl_smtp_rcpt = check
begin acl
check:
  accept  hosts         = :
          control       = dkim_disable_verify
  deny    message       = Restricted characters in address
          domains       = +local_domains
          local_parts   = ^[.] : ^.*[@%!/|]
  deny    message       = Restricted characters in address
          domains       = !+local_domains
          local_parts   = ^[./|] : ^.*[@%!] : ^.*/\\.\\./
  deny    message       = your host is not welcome
          hosts         = +bad_hosts
  deny    message       = sender refused
          senders       = +bad_senders
  accept  hosts         = +good_hosts
          control       = submission
  deny    message       = HELO must not be our own name
          condition     = ${if eqi{$sender_helo_name}{$primary_hostname}}
  deny    message       = too many recipients
          condition     = ${if >{$recipients_count}{100000}}
  warn    condition     = ${if match{$sender_address}{\N^([^@]+)@(.*)$\N}}
          set acl_m_who = ${lc:$1}
  warn    condition     = ${if def:acl_m_who}
          set acl_m_n   = ${eval:${if def:acl_m_n{$acl_m_n}{0}}+1}
  accept  authenticated = *
  accept  local_parts   = postmaster
          domains       = +local_domains
  require message       = relay not permitted
          domains       = +local_domains : +relay_to_domains : +big_relay_domains
  require verify        = recipient
  accept
begin routers
relay:
  driver = manualroute
  domains = +relay_to_domains
  route_list = * 127.0.0.2
  transport = remote_smtp
  no_more
local:
  driver = accept
  domains = +local_domains
  local_parts = u0 : u1 : u2 : u3 : u4 : u5 : u6 : u7 : u8 : u9
  transport = local_delivery
begin transports
remote_smtp:
  driver = smtp
local_delivery:
  driver = appendfile
  directory = /nonexistent/$local_part_data
`

// BenchmarkRecipient is RCPT over TCP, a hundred of them in one packet; every fifth is refused and logged.
func BenchmarkRecipient(b *testing.B) {
	dir := b.TempDir()
	path := filepath.Join(dir, "config")
	text := "primary_hostname = mx.test\nexim_user = root\nkeep_environment =\nhost_lookup =\nrfc1413_hosts =\nsmtp_accept_max_nonmail = 1000000000\nsmtp_accept_max_per_connection = 0\nrecipients_max = 50000\nspool_directory = " + dir +
		"/spool\nlog_file_path = " + dir + "/log/%slog\n" + recipientConfig
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	s, err := Load(context.Background(), Request{World: testkit.NewWorld(b).World, Path: path, Alternate: true, Unprivileged: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if c, err := listener.Accept(); err == nil {
			s.ServeSMTP(context.Background(), c, false)
		}
	}()
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	replies := bufio.NewReader(c)
	say := func(text, want string) {
		io.WriteString(c, text)
		for {
			line, err := replies.ReadSlice('\n')
			if err != nil || want != "" && !strings.HasPrefix(string(line), want) {
				b.Fatalf("%q: %s%v", text, line, err)
			}
			if line[3] == ' ' {
				return
			}
		}
	}
	say("", "220")
	say("EHLO client.test\r\n", "250")
	const group = 100
	var batch strings.Builder
	for i := range group {
		if i%5 == 4 {
			fmt.Fprintf(&batch, "RCPT TO:<stranger%d@elsewhere.example>\r\n", i%10)
		} else {
			fmt.Fprintf(&batch, "RCPT TO:<u%d@bench.test>\r\n", i%10)
		}
	}
	b.ReportAllocs()
	begun := processorTime()
	for i := 0; b.Loop(); i++ {
		if i%group > 0 {
			continue
		}
		say("MAIL FROM:<sender@client.test>\r\n", "250")
		io.WriteString(c, batch.String())
		for n := range group {
			if line, err := replies.ReadSlice('\n'); err != nil || n%5 < 4 != (line[0] == '2') {
				b.Fatalf("%s%v", line, err)
			}
		}
		say("RSET\r\n", "250")
	}
	b.ReportMetric(float64((processorTime()-begun).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
