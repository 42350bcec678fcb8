package catalog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"exigo/internal/outside"
	"exigo/internal/proto/dns"
	"exigo/internal/testkit"

	mdns "github.com/miekg/dns"
	"gopkg.in/yaml.v3"
)

// spfScenario is one document of the openspf test suite for RFC 7208.
type spfScenario struct {
	Tests map[string]spfCase     `yaml:"tests"`
	Zone  map[string][]yaml.Node `yaml:"zonedata"`
}

type spfCase struct {
	HELO        string    `yaml:"helo"`
	Host        string    `yaml:"host"`
	MailFrom    string    `yaml:"mailfrom"`
	Result      yaml.Node `yaml:"result"`
	Explanation string    `yaml:"explanation"`
}

// wire is a resolver that asks a name server on the loopback interface.
type wire struct{ dns *dns.Resolver }

// Lookup implements outside.Resolver.
func (w wire) Lookup(ctx context.Context, q outside.Question) (outside.Answer, error) {
	found, err := w.dns.Lookup(ctx, dns.Question{Name: q.Name, Type: uint16(q.Type)})
	a := outside.Answer{Canonical: found.Canonical}
	for _, rr := range found.Records {
		a.Records = append(a.Records, outside.FromRR(rr))
	}
	for theirs, ours := range map[error]error{dns.ErrNoHost: outside.ErrNoHost, dns.ErrNoData: outside.ErrNoData, dns.ErrTryAgain: outside.ErrTryAgain, dns.ErrRefused: outside.ErrRefused} {
		if errors.Is(err, theirs) {
			err = ours
		}
	}
	return a, err
}

// escapeName writes a name in the form that the DNS library gives it.
func escapeName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c == '.' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%03d`, c)
		}
	}
	b.WriteByte('.')
	var packed [256]byte
	if n, err := mdns.PackDomainName(b.String(), packed[:], 0, nil, false); err == nil {
		if text, _, err := mdns.UnpackDomainName(packed[:n], 0); err == nil {
			return text
		}
	}
	return mdns.Fqdn(name)
}

// spfZone makes the records of a scenario. A name without TXT records has its SPF records as TXT, unless it says "TXT: NONE"; names that are to
// time out fail at once.
func spfZone(data map[string][]yaml.Node) (records map[string][]mdns.RR, broken map[string]bool) {
	records, broken = map[string][]mdns.RR{}, map[string]bool{}
	for name, rows := range data {
		key := strings.ToLower(escapeName(name))
		records[key] = []mdns.RR{}
		var texts []mdns.RR
		text := false
		for _, row := range rows {
			if row.Kind == yaml.ScalarNode {
				broken[key] = true
				continue
			}
			kind, value := row.Content[0].Value, row.Content[1]
			header := mdns.RR_Header{Name: escapeName(name), Class: mdns.ClassINET, Ttl: 60, Rrtype: mdns.StringToType[kind]}
			switch kind {
			case "A":
				records[key] = append(records[key], &mdns.A{Hdr: header, A: net.ParseIP(value.Value)})
			case "AAAA":
				records[key] = append(records[key], &mdns.AAAA{Hdr: header, AAAA: net.ParseIP(value.Value)})
			case "MX":
				n, _ := strconv.Atoi(value.Content[0].Value)
				records[key] = append(records[key], &mdns.MX{Hdr: header, Preference: uint16(n), Mx: escapeName(value.Content[1].Value)})
			case "PTR":
				records[key] = append(records[key], &mdns.PTR{Hdr: header, Ptr: escapeName(value.Value)})
			case "CNAME":
				records[key] = append(records[key], &mdns.CNAME{Hdr: header, Target: escapeName(value.Value)})
			case "TXT", "SPF":
				text = text || kind == "TXT"
				header.Rrtype = mdns.TypeTXT
				rr := &mdns.TXT{Hdr: header, Txt: spfStrings(value)}
				switch {
				case kind == "SPF":
					texts = append(texts, rr)
				case value.Value != "NONE":
					records[key] = append(records[key], rr)
				}
			}
		}
		if !text {
			records[key] = append(records[key], texts...)
		}
	}
	return records, broken
}

// spfStrings are the strings of a TXT record, cut where they are too long, with the escapes of zone files.
func spfStrings(value *yaml.Node) (list []string) {
	parts := []string{value.Value}
	if value.Kind == yaml.SequenceNode {
		parts = nil
		for _, c := range value.Content {
			parts = append(parts, c.Value)
		}
	}
	for _, p := range parts {
		for len(p) > 255 {
			list, p = append(list, p[:255]), p[255:]
		}
		list = append(list, p)
	}
	for i := range list {
		list[i] = strings.ReplaceAll(list[i], `\`, `\\`)
	}
	return list
}

// serveZone starts a name server and returns a resolver that asks it.
func serveZone(t *testing.T, data map[string][]yaml.Node) outside.Resolver {
	records, broken := spfZone(data)
	server := testkit.NewDNSServer(t, testkit.NewZones(t, ""))
	server.Alter(func(reply *mdns.Msg, _ bool) *mdns.Msg {
		q := reply.Question[0]
		reply.Answer, reply.Rcode = nil, mdns.RcodeNameError
		for name := strings.ToLower(q.Name); len(reply.Answer) < 20; {
			list, exists := records[name]
			if exists {
				reply.Rcode = mdns.RcodeSuccess
			}
			next := ""
			for _, rr := range list {
				if c, ok := rr.(*mdns.CNAME); ok || rr.Header().Rrtype == q.Qtype {
					reply.Answer = append(reply.Answer, rr)
					if ok {
						next = strings.ToLower(c.Target)
					}
				}
			}
			if len(reply.Answer) == 0 && broken[name] {
				reply.Rcode = mdns.RcodeServerFailure
			}
			if next == "" {
				return reply
			}
			name = next
		}
		reply.Rcode = mdns.RcodeServerFailure
		return reply
	})
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver 127.0.0.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := dns.New(file)
	r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Address.String())
	}
	return wire{r}
}

const spfSuiteConfiguration = `primary_hostname = receiver.example
exim_user = root
keep_environment =
spool_directory = $DIR/spool
log_file_path = $DIR/log/%slog
tls_advertise_hosts =
hosts_proxy = 127.0.0.1
helo_accept_junk_hosts = *
helo_allow_chars = _%
allow_domain_literals
spf_smtp_comment_template = DEFAULT
acl_smtp_rcpt = rcpt
acl_smtp_expn = expn
begin acl
expn:
  deny logwrite = SPF ${lookup {$smtp_command_argument} spf {$sender_host_address}} <>
rcpt:
  accept spf = *
         logwrite = SPF $spf_result <$spf_smtp_comment>
`

// TestSPFSuite plays the RFC 7208 suite against the SMTP server, with a name server on the loopback interface. Clients say by a PROXY header
// where they come from. In two cases the senders are no addresses ("@example.net", and a domain with empty labels): the server refuses them with
// 501, as SMTP wants, so an ACL for EXPN in the same session asks for them with the lookup type spf,
// which gives no explanation; the package's own test has that of "nolocalpart".
func TestSPFSuite(t *testing.T) {
	dir := os.Getenv("EXIGO_SUITES")
	if dir == "" {
		t.Skip("EXIGO_SUITES is not set")
	}
	data, err := os.ReadFile(filepath.Join(dir, "spf", "rfc7208-tests.yml"))
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var s spfScenario
		if err := d.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		played += s.play(t)
	}
	if played != 203 {
		t.Errorf("%d cases played", played)
	}
}

// play runs the cases of a scenario against a server of its own.
func (s *spfScenario) play(t *testing.T) (played int) {
	e := &testkit.Environment{Directory: t.TempDir(), World: testkit.NewWorld(t)}
	e.World.World.DNS = serveZone(t, s.Zone)
	e.Configuration = filepath.Join(e.Directory, "config")
	if err := os.WriteFile(e.Configuration, []byte(strings.ReplaceAll(spfSuiteConfiguration, "$DIR", e.Directory)), 0o600); err != nil {
		t.Fatal(err)
	}
	instance := startScript(t, e)
	defer instance.Stop()
	for name, c := range s.Tests {
		before := logged(e.Directory)
		refused := slices.Contains([]string{"nolocalpart", "emptylabel"}, strings.ToLower(name))
		reply, err := c.converse(instance, refused)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := map[bool]string{false: "250 ", true: "550 "}[refused]; !strings.HasPrefix(reply, want) {
			t.Errorf("%s: %s", name, reply)
			continue
		}
		played++
		if refused {
			c.Explanation = ""
		}
		c.judge(t, name, logged(e.Directory)[len(before):])
	}
	return played
}

// logged is the main log.
func logged(directory string) string {
	data, _ := os.ReadFile(filepath.Join(directory, "log", "mainlog"))
	return string(data)
}

func (c *spfCase) wanted() (want []string) {
	if c.Result.Kind != yaml.SequenceNode {
		return []string{c.Result.Value}
	}
	for _, n := range c.Result.Content {
		want = append(want, n.Value)
	}
	return want
}

// converse goes as far as RCPT, and returns the last reply. When MAIL is to be refused, the sender becomes the argument of EXPN.
func (c *spfCase) converse(instance *testkit.Instance, refused bool) (reply string, err error) {
	conn, err := instance.Connect()
	if err != nil {
		return "", err
	}
	defer conn.Close()
	proxy := fmt.Sprintf("PROXY TCP4 %s 198.51.100.2 1234 25\r\n", c.Host)
	if netip.MustParseAddr(c.Host).Is6() {
		proxy = fmt.Sprintf("PROXY TCP6 %s 2001:db8::2 1234 25\r\n", c.Host)
	}
	in := bufio.NewReader(conn)
	sender := c.MailFrom
	if local, domain, ok := strings.Cut(sender, "@"); ok && strings.Contains(local, " ") {
		sender = `"` + local + `"@` + domain
	}
	for _, line := range []string{proxy, "HELO " + c.HELO + "\r\n", "MAIL FROM:<" + sender + ">\r\n", "RCPT TO:<u@receiver.example>\r\n"} {
		if _, err := io.WriteString(conn, line); err != nil {
			return "", err
		}
		if reply, err = in.ReadString('\n'); err == nil && refused && strings.HasPrefix(reply, "501 ") {
			io.WriteString(conn, "EXPN "+sender+"\r\n")
			return in.ReadString('\n')
		}
		if err != nil || reply[0] != '2' {
			return reply, err
		}
	}
	return reply, nil
}

// judge compares what the ACL logged.
func (c *spfCase) judge(t *testing.T, name, log string) {
	_, text, _ := strings.Cut(log, " SPF ")
	result, comment, _ := strings.Cut(text, " <")
	comment = strings.TrimSuffix(comment, ">\n")
	if want := c.wanted(); !slices.Contains(want, result) {
		t.Errorf("%s: %q, want %s", name, log, want)
	}
	explanation, _, _ := strings.Cut(comment, " : Reason: ")
	if c.Explanation != "" && explanation != c.Explanation {
		t.Errorf("%s: explanation %q, want %q", name, explanation, c.Explanation)
	}
}
