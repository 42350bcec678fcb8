package interop

import (
	"encoding/base64"
	"os"
	"os/exec"
	"strings"
	"testing"

	"exigo/test/blackbox"
)

const pamConfiguration = `
MAILUSER
primary_hostname = mx.example
spool_directory = DIR/spool
log_file_path = DIR/log/%s
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
host_lookup =
rfc1413_query_timeout = 0s
pam_command = DIR/exigo-pam
pam_config_directory = DIR/pam.d
begin authenticators
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = User Name : Password
  server_condition = ${if pam{$auth1:${listquote{:}{$auth2}}}}
  server_set_id = $auth1
`

// pamService has a script look at the password, as pam_unix can ask for the mail user's own only.
const pamService = `auth [success=1 default=ignore] pam_exec.so quiet expose_authtok DIR/check
auth requisite pam_deny.so
auth required pam_permit.so
account required pam_succeed_if.so quiet user notin locked:former
`

const pamScript = `#!/bin/sh
case "$PAM_USER" in
broken) echo 'auth required pam_nosuch.so' > DIR/pam.d/exim ;;
esac
[ "$PAM_SERVICE $(cat)" = 'exim se:cret' ]
`

// TestPAM authenticates clients of a daemon with the system's libpam and its modules.
func TestPAM(t *testing.T) {
	p := blackbox.New(t)
	build := exec.Command("go", "build", "-buildvcs=false", "-o", p.Path("exigo-pam"), "exigo/cmd/exigo-pam")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, f := range []string{"spool", "log", "pam.d"} {
		p.Folder(f)
	}
	for name, text := range map[string]string{"pam.d/exim": pamService, "check": pamScript} {
		if err := os.WriteFile(p.Path(name), []byte(strings.ReplaceAll(text, "DIR", p.Dir)), 0o755); err != nil {
			t.Fatal(err)
		}
		p.Own(p.Path(name))
	}
	port := p.Port()
	p.Start(p.Configure("conf", pamConfiguration, "PORT", port), port)
	t.Cleanup(p.KillAll)
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, c := range []struct{ user, password, want string }{
		{"ann", "se:cret", "235"}, {"ann", "se", "535"}, {"ann", "", "535"}, {"bob", "se:cret", "235"}, {"former", "se:cret", "535"}, {"", "se:cret", "535"},
		{"broken", "se:cret", "235"}, {"ann", "se:cret", "435"}, // the module is not there any more
	} {
		client, err := blackbox.Dial("127.0.0.1:" + port)
		if err != nil {
			t.Fatal(err)
		}
		if err = client.Expect("EHLO client.example", "250"); err == nil {
			_, _ = client.Say("AUTH LOGIN")
			_, _ = client.Say(b64(c.user))
			err = client.Expect(b64(c.password), c.want)
		}
		if log := p.Read("log/main"); err != nil && strings.Contains(log, "cannot load libpam.so.0") {
			t.Skip("libpam.so.0 is not installed")
		} else if err != nil {
			t.Errorf("%s: %v\n%s", c.user, err, log)
		}
		client.Close()
	}
	log := p.Read("log/main")
	if strings.Contains(log, "se:cret") || !strings.Contains(log, "435 Unable to authenticate at present (set_id=ann): Module is unknown\n") || !strings.Contains(log, "535 Incorrect authentication data (set_id=former)\n") {
		t.Error(log)
	}
}
