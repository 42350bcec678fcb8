package smtpserver

import (
	"strings"
	"testing"

	"exigo/internal/auth"
	"exigo/internal/auth/crammd5"
	"exigo/internal/auth/external"
	"exigo/internal/auth/plaintext"
	"exigo/internal/option"
)

// authenticator makes an instance of a driver from settings by name.
func authenticator(t testing.TB, name string, driver *auth.Driver, settings map[string]string) *auth.Authenticator {
	t.Helper()
	bag := option.Bag{}
	sets := []option.Set{auth.GenericOptions(), driver.Options}
	for _, set := range sets {
		bag.Add(set)
	}
	for key, value := range settings {
		found := false
		for _, set := range sets {
			if field, ok := set.Field(bag.Add(set), key); ok {
				found = true
				if err := option.Parse(field, value); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !found {
			t.Fatalf("no option %s", key)
		}
	}
	return auth.New(name, driver, bag)
}

func TestAuth(t *testing.T) {
	f := newFixture(t, "+smtp_syntax_error +smtp_protocol_error +smtp_no_mail")
	f.world.Quirks.CRAMChallenge = "<1896.697170952@postoffice.reston.mci.net>"
	f.main.ACLSMTPRcpt = "accept"
	f.authenticate(
		authenticator(t, "plain", plaintext.Driver(), map[string]string{"public_name": "PLAIN", "server_prompts": ":",
			"server_condition": "${if and {{eq{$auth2}{userx}}{eq{$3}{secret}}}{yes}{no}}", "server_set_id": "$auth2"}),
		authenticator(t, "login", plaintext.Driver(), map[string]string{"public_name": "LOGIN", "server_prompts": "User Name : Password ",
			"server_condition": "${if eq {$2}{secret}{yes}{${if eq{$2}{later}{try again}}}}", "server_set_id": "$1"}),
		authenticator(t, "hidden", plaintext.Driver(), map[string]string{"server_condition": "yes", "server_advertise_condition": "no"}),
		authenticator(t, "client", plaintext.Driver(), map[string]string{"client_send": "x"}),
		authenticator(t, "cram", crammd5.Driver(), map[string]string{"public_name": "CRAM-MD5", "server_secret": "${if eq{$auth1}{tim}{tanstaaftanstaaf}fail}", "server_set_id": "$1"}),
		authenticator(t, "ext", external.Driver(), map[string]string{"public_name": "EXTERNAL", "server_param2": "who:$auth1", "server_condition": "${if eq{$auth2}{who:me}}"}),
	)
	offer := "S: 250-PIPELINING\nS: 250-AUTH PLAIN LOGIN CRAM-MD5 EXTERNAL\n"
	hello := strings.Replace(greeted, "S: 250-PIPELINING\n", offer, 1)
	f.main.SMTPMaxSynProtErrors = 20
	f.main.SMTPAcceptMaxNonMail = 50
	f.serve(hello + `
C: auth a%b
S: 501 invalid character in authentication mechanism name
C: auth hidden
S: 504 hidden authentication mechanism not supported
C: auth plain !!!
S: 501 Invalid base64 data
C: auth plain
S: 334 
C: *
S: 501 Authentication cancelled
C: AUTH PLAIN AHVzZXJ4AHdyb25n
S: 535 Incorrect authentication data
C: auth LOGIN
S: 334 VXNlciBOYW1l
C: dXNlcng=
S: 334 UGFzc3dvcmQ=
C: bGF0ZXI=
S: 435 Unable to authenticate at present: try again
C: auth CRAM-MD5 abc
S: 553 Initial data not expected
C: auth CRAM-MD5
S: 334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+
C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkx
S: 535 Incorrect authentication data
C: auth EXTERNAL eW91
S: 535 Incorrect authentication data
C: mail from:<x@y> auth=a+b@c.d
S: 501 invalid data for AUTH
C: mail from:<x@y> auth=a@b
S: 250 OK
C: auth plain AHVzZXJ4AHNlY3JldA==
S: 503 not permitted in mail transaction
C: rset
S: 250 Reset OK
C: auth plain AHVzZXJ4AHNlY3JldA==
S: 235 Authentication succeeded
C: auth plain AHVzZXJ4AHNlY3JldA==
S: 503 already authenticated
C: mail from:<x@y> auth=a@b
S: 250 OK
C: rcpt to:<x@y>
S: 250 Accepted
C: data
S: 354 ...
C: .
S: 250 OK id=ID1
C: quit
S: 221 ...
`)
	check(t, "log", portless(f.logged(), f), `
SMTP syntax error in "auth a%b" H=(rhu.barb) [IP] invalid character in authentication mechanism name
SMTP protocol error in "auth hidden" H=(rhu.barb) [IP] hidden authentication mechanism not supported
R:plain authenticator failed for H=(rhu.barb) [IP]: 501 Invalid base64 data
R:plain authenticator failed for H=(rhu.barb) [IP]: 501 Authentication cancelled
R:plain authenticator failed for H=(rhu.barb) [IP]: 535 Incorrect authentication data (set_id=userx)
R:login authenticator failed for H=(rhu.barb) [IP]: 435 Unable to authenticate at present (set_id=userx): try again
R:cram authenticator failed for H=(rhu.barb) [IP]: 553 Initial data not expected
R:cram authenticator failed for H=(rhu.barb) [IP]: 535 Incorrect authentication data (set_id=tim)
R:ext authenticator failed for H=(rhu.barb) [IP]: 535 Incorrect authentication data
SMTP syntax error in "mail from:<x@y> auth=a+b@c.d" H=(rhu.barb) [IP] invalid data for AUTH
ignoring AUTH=a@b from H=(rhu.barb) [IP] (client not authenticated)
SMTP protocol error in "auth plain AHVzZXJ4AHNlY3JldA==" H=(rhu.barb) [IP] not permitted in mail transaction
SMTP protocol error in "auth plain AHVzZXJ4AHNlY3JldA==" H=(rhu.barb) [IP] already authenticated
`)
	check(t, "received", strings.Join(f.received, ""), "esmtpa <x@y> x@y\n")
	f.serve("S: 220 ...\nC: helo x\nS: 250 ...\nC: auth plain x\nS: 503 AUTH command used when not advertised\nC: quit\nS: 221 ...\n")
	f.logged()
	f.serve(hello + "C: auth EXTERNAL\nS: 334 \nC: bWU=\nS: 235 Authentication succeeded\nC: quit\nS: 221 ...\n")
	check(t, "log", portless(f.logged(), f), "no MAIL in SMTP connection from (rhu.barb) [IP] D=0s A=ext C=EHLO,AUTH,QUIT\n")
}
