package catalog

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/testkit"
)

// TestExamples runs the examples of all words that the rooms, lists and ACLs bring; those of builtin are run there.
func TestExamples(t *testing.T) {
	c := Default()
	e, err := expand.New(testkit.NewWorld(t).World, c.words(), expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range c.Features {
		var list []expand.Example
		for _, r := range f.Items {
			list = append(list, r.Examples...)
		}
		for _, r := range f.Operators {
			list = append(list, r.Examples...)
		}
		for _, r := range f.Tests {
			list = append(list, r.Examples...)
		}
		for _, r := range f.Variables {
			list = append(list, r.Examples...)
		}
		for _, example := range list {
			v, err := e.Expand(e.NewScope(context.Background(), nil, nil, nil), example.In)
			if text := ""; err != nil {
				if text = err.Error(); text != example.Err {
					t.Errorf("%s: %s fails with %q, wanted %q", f.Name, example.In, text, example.Err)
				}
			} else if example.Err != "" || v.S != example.Out {
				t.Errorf("%s: %s gives %q, wanted %q %s", f.Name, example.In, v.S, example.Out, example.Err)
			}
		}
	}
}

// sampleSettings are the main options of the sample.
type sampleSettings struct{}

func (sampleSettings) NamedList(byte, string) (string, bool) { return "", false }
func (sampleSettings) MainOptions() option.Bag               { return option.Bag{} }
func (sampleSettings) LanguageSettings() *expand.Settings {
	return &expand.Settings{PrimaryHostname: "mail.example.com", QualifyDomain: "example.com", QualifyRecipient: "example.com", SpoolDirectory: "/var/spool/exigo", ConfigFile: "/etc/exim4/exim4.conf",
		EximPath: "/usr/sbin/exigo", EximUID: 106, EximGID: 113, LocalhostNumber: "0", InitialDirectory: "/", BounceReturnSizeLimit: 100 << 10, Location: time.UTC,
		HeadersCharset: "UTF-8", MessageBodyVisible: 500}
}

// sample is the sample that the reference's page of expansions speaks of: what its variables are worth is documentation and a test.
const sample = `The values are those that a transport sees while it delivers a message to ` + "`lists-mary+news@example.com`" + ` which the alias
` + "`all@example.com`" + ` sent there. It came from ` + "`joe@client.example`" + ` over TLS, with authentication, from the host ` + "`[198.51.100.7]:40000`" + `. A variable of which the
message knows nothing is empty.`

// sampleScope makes the sample.
func sampleScope(t *testing.T) *expand.Scope {
	e, err := expand.New(testkit.NewWorld(t).World, Default().words(), expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	taint := mail.Taint
	session := &mail.Session{
		Started: testkit.Epoch(), ConnectionID: "1vA000-000000000001-0000", Host: netip.MustParseAddr("198.51.100.7"), Port: 40000, HostName: "client.example", NameLookup: mail.NameFound,
		Interface: netip.MustParseAddr("192.0.2.1"), InterfacePort: 587, Ident: "joe", HELO: "client.example", ESMTP: true, HELOVerified: true, SMTP: true,
		TLS:           &mail.TLS{Version: "TLS1.3", Cipher: "TLS1.3:TLS_AES_256_GCM_SHA384:256", CipherStd: "TLS_AES_256_GCM_SHA384", Bits: 256, SNI: "mail.example.com"},
		Authenticator: "plain_server", AuthID: "joe", AuthSender: "joe@client.example", Command: "DATA", History: []string{"EHLO", "MAIL", "RCPT", "DATA"},
		Recipients: 1, RcptCount: 1, Vars: map[string]mail.Value{"0": taint("zero"), "_colour": {S: "green"}},
	}
	text := []string{"Received: from client.example by mail.example.com\n", "From: Joe <joe@client.example>\n", "To: All <all@example.com>\n", "Subject: =?utf-8?q?Caf=C3=A9?=\n"}
	m := &mail.Message{
		ID: "1vA000-000000000001-0001", Sender: "joe@client.example", SenderSet: true, Recipients: []mail.Recipient{{Address: "all@example.com", Parent: -1}},
		Received: testkit.Epoch(), Protocol: "esmtpsa", Session: session, OriginatorUID: 106, OriginatorGID: 113, Size: 420, BodySize: 200, Lines: 12, BodyLines: 8,
		MaxReceivedLine: 71, Vars: map[string]mail.Value{"_score": {S: "7"}}, DeliverFirst: true,
	}
	for _, line := range text {
		m.Headers = append(m.Headers, mail.NewHeader(line))
	}
	s := e.NewScope(context.Background(), sampleSettings{}, session, m)
	parent := &mail.Address{Address: "all@example.com", LocalPart: "all", Domain: "example.com", CasefulLocalPart: "all"}
	s.Address = &mail.Address{
		Address: "lists-mary+news@example.com", LocalPart: "mary", Domain: "example.com", CasefulLocalPart: "mary", Prefix: "lists-", Suffix: "+news", SuffixV: "news",
		LocalPartData: mail.Value{S: "mary"}, DomainData: mail.Value{S: "example.com"}, AddressData: mail.Value{S: "quota=5M"}, Vars: map[string]mail.Value{"home": {S: "/home/mary"}},
		Parent: parent, Router: "local_users", Transport: "local_delivery", HomeDirectory: "/home/mary", UID: 1001, GID: 1001, UIDSet: true, GIDSet: true,
	}
	s.Host = &mail.Host{Name: "mx.example.net", Address: netip.MustParseAddr("203.0.113.5"), Port: 25, MX: 10}
	s.Item, s.Value, s.Key = taint("item"), taint("value"), taint("key")
	s.Numbers = []mail.Value{taint("all"), taint("first")}
	s.ACLArguments = []mail.Value{{S: "argument"}}
	return s
}

// sampleNames stand for the rows of variables whose names only begin so.
var sampleNames = map[string]string{"acl_c": "acl_c_colour", "acl_m": "acl_m_score", "r_": "r_home", "auth": "auth1"}

// machine are the variables whose values are the machine's.
var machine = strings.Fields("spool_space spool_inodes log_space log_inodes caller_uid caller_gid queue_size compile_number version_number exim_version message_body message_body_end local_user_uid")

// sampleValues are the values of all variables in the sample, as examples. They have none that come from the machine.
func sampleValues(t *testing.T, rows []expand.Variable) map[string]expand.Example {
	s := sampleScope(t)
	values := map[string]expand.Example{}
	skip := map[string]bool{}
	for _, name := range machine {
		skip[name] = true
	}
	for _, row := range rows {
		name := row.Name
		if row.Prefix {
			if name = sampleNames[row.Name]; name == "" {
				name = row.Name + "x"
			}
		}
		if skip[row.Name] || len(row.Examples) > 0 {
			continue
		}
		v, err := s.Engine.Expand(s, "$"+name)
		if err != nil {
			values[row.Name] = expand.Example{In: "$" + name, Err: err.Error()}
			continue
		}
		values[row.Name] = expand.Example{In: "$" + name, Out: v.S}
	}
	return values
}

// TestTaintStays: no word makes text from outside look as if it was the administrator's. What is left of it must still be tainted.
func TestTaintStays(t *testing.T) {
	e, err := expand.New(testkit.NewWorld(t).World, Default().words(), expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	w := Default().words()
	var texts []string
	for _, o := range w.Operators {
		name := o.Name
		if o.Underscore {
			texts = append(texts, "${"+name+"_20:$acl_m_bad}", "${"+name+"_-8_8:$acl_m_bad}", "${"+name+"_sqlite:$acl_m_bad}")
		}
		texts = append(texts, "${"+name+":$acl_m_bad}", "${"+name+":$acl_m_list}", "${"+name+":$acl_m_address}", "${"+name+":$acl_m_encoded}")
	}
	for _, i := range w.Items {
		for n := i.Min; n <= min(i.Max, 4); n++ {
			for at := range n {
				for _, other := range []string{"20", "x", ":", "md5"} {
					text := "${" + i.Name
					for k := range n {
						text += map[bool]string{true: "{$acl_m_bad}", false: "{" + other + "}"}[k == at]
					}
					texts = append(texts, text+"}")
				}
			}
		}
	}
	for _, list := range []string{"$acl_m_bad", "$acl_m_list"} {
		texts = append(texts, "${map{"+list+"}{$item}}", "${map{"+list+"}{<$item>}}", "${filter{"+list+"}{eq{1}{1}}}", "${sort{"+list+"}{lt}{$item}}", "${reduce{"+list+"}{}{$value-$item}}",
			"${reduce{a}{"+list+"}{$value}}", "${listextract{1}{"+list+"}}", "${listextract{-1}{"+list+"}{<$value>}}", "${extract{1}{:}{"+list+"}}", "${extract{a}{a="+list+"}}",
			"${if match{"+list+"}{(.*)}{$1}}", "${if match{"+list+"}{.*}{$0}}", "${if forany{"+list+"}{match{$item}{(.*)}}{$1}}", "${if eq{a}{a}{"+list+"}}", "${extract json{1}{[\""+list+"\"]}}",
			"${if inlist{b}{b:"+list+"}{$value}}"+list, "${sg{"+list+"}{q}{r}}", "${sg{q}{(q)}{\\$1}}"+list, "${if match_address{x@y}{*}{}}"+list, "${env{X}{}{"+list+"}}",
			"${if forany_json{[\""+list+"\"]}{eq{1}{1}}{}}"+list, "${lookup{x}lsearch{/nonexistent}{$value}{"+list+"}}", "${certextract{x}{$tls_in_peercert}{}{"+list+"}}")
	}
	left := 0
	for _, text := range texts {
		s := e.NewScope(context.Background(), sampleSettings{}, nil, &mail.Message{Session: &mail.Session{}, Vars: map[string]mail.Value{
			"_bad": mail.Taint("${lc:x}"), "_list": mail.Taint("${lc::x} : $b : c"), "_address": mail.Taint("$joe ${lc <${x}@$a.b>"), "_encoded": mail.Taint("=?utf-8?q?=24{x}?="),
		}})
		v, err := e.Expand(s, text)
		if err == nil && strings.Contains(v.S, "$") {
			if left++; !v.Tainted {
				t.Errorf("%s gives %q, untainted", text, v.S)
			}
		}
	}
	if left < 100 {
		t.Errorf("only %d expansions show anything", left)
	}
}

// TestVariablesAreTainted: what a client, the DNS or a message says is tainted in every variable that shows it.
func TestVariablesAreTainted(t *testing.T) {
	const bad = "${bad}"
	s := sampleScope(t)
	c := s.Session
	c.HostName, c.HostAliases, c.Ident, c.HELO, c.AuthID, c.FailedID, c.AuthSender, c.Command, c.Argument, c.History, c.Login = bad, []string{bad}, bad, bad, bad, bad, bad, "MAIL FROM:"+bad, bad, []string{bad}, bad
	c.TLS.SNI, c.TLS.PeerDN, c.TLS.ALPN = bad, bad, bad
	m := s.Message
	m.Sender, m.RawSender, m.Recipients = bad+"@"+bad, bad, []mail.Recipient{{Address: bad + "@" + bad}}
	m.EnvID = bad
	m.Headers = []mail.Header{mail.NewHeader("From: " + bad + "\n"), mail.NewHeader("Subject: " + bad + "\n"), mail.NewHeader("Reply-To: " + bad + "\n")}
	a := s.Address
	a.Address, a.LocalPart, a.Domain, a.CasefulLocalPart, a.Prefix, a.PrefixV, a.Suffix, a.SuffixV = bad+"@"+bad, bad, bad, bad, bad, bad, bad, bad
	a.Parent.Address, a.Parent.LocalPart, a.Parent.Domain = bad+"@"+bad, bad, bad
	s.Host.Name, s.Outgoing = bad, &mail.TLS{PeerDN: bad, SNI: bad}
	shown := 0
	for _, row := range Default().words().Variables {
		name := row.Name
		if row.Prefix {
			name = sampleNames[row.Name]
		}
		v, err := s.Engine.Expand(s, "$"+name)
		if err != nil || !strings.Contains(v.S, bad) {
			continue
		}
		if shown++; !v.Tainted {
			t.Errorf("$%s is %q, untainted", name, v.S)
		}
	}
	if shown < 30 {
		t.Errorf("only %d variables show anything", shown)
	}
}
