package outside

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFurtherSources(t *testing.T) {
	for text, want := range map[string]bool{
		"passwd: files systemd\n":                            false,
		"passwd: compat [NOTFOUND=return] files\n":           false,
		"passwd: files ldap\n":                               true,
		"passwd:\tfiles [SUCCESS=merge] sss # of the site\n": true,
		"passwd: files # ldap\n":                             false,
		"#passwd: files ldap\n":                              false,
		"group: files nis\n":                                 false,
		"":                                                   false,
	} {
		if got := furtherSources(text, "passwd"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestServiceUsers asks a command in the place of getent, which counts its calls.
func TestServiceUsers(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	passwd := write("passwd", "local:x:100:100:In the file:/home/local:/bin/sh\n", 0o600)
	group := write("group", "staff:x:50:local\n", 0o600)
	nsswitch := write("nsswitch.conf", "passwd: files sss\ngroup: files sss\n", 0o600)
	getent := write("getent", `#!/bin/sh
echo "$*" >>`+dir+`/calls
case "$*" in
"passwd remote"|"passwd 2000") echo "remote:*:2000:2001:Elsewhere:/home/remote:/bin/sh" ;;
"passwd down") exit 3 ;;
"group team"|"group 2001") echo "team:*:2001:remote" ;;
"initgroups remote") echo "remote 2001 50 77" ;;
"initgroups local") echo "local 77" ;;
*) exit 2 ;;
esac
`, 0o700)
	calls := func() int { text, _ := os.ReadFile(dir + "/calls"); return strings.Count(string(text), "\n") }
	u, ok := newUsers(passwd, group, nsswitch, getent).(*serviceUsers)
	if !ok {
		t.Fatal("getent is not asked")
	}
	now := time.Unix(1000, 0)
	u.now = func() time.Time { return now }

	if e, found, err := u.ByName("local"); !found || err != nil || e.UID != 100 || calls() != 0 {
		t.Errorf("local: %+v %v %v, %d calls", e, found, err, calls())
	}
	for range 3 {
		e, found, err := u.ByName("remote")
		if !found || err != nil || e.UID != 2000 || e.GID != 2001 || e.Home != "/home/remote" || e.Gecos != "Elsewhere" {
			t.Errorf("remote: %+v %v %v", e, found, err)
		}
		if _, found, err := u.ByName("nobody-at-all"); found || err != nil {
			t.Errorf("nobody: %v %v", found, err)
		}
	}
	if calls() != 2 {
		t.Errorf("%d calls for two names", calls())
	}
	now = now.Add(serviceLife)
	if u.ByName("remote"); calls() != 3 {
		t.Errorf("%d calls after the answer grew old", calls())
	}
	if _, found, err := u.ByName("2000"); found || err != nil {
		t.Errorf("a number is a name: %v", err)
	}
	if e, found, _ := u.ByUID(2000); !found || e.Name != "remote" {
		t.Errorf("by uid: %+v", e)
	}
	if _, _, err := u.ByName("down"); err == nil {
		t.Error("a service that is down knows that there is no such user")
	}
	for _, bad := range []string{"", "-h", "a b", "a:b", "a\nb", strings.Repeat("x", serviceKey+1)} {
		before := calls()
		if _, found, err := u.ByName(bad); found || err != nil || calls() != before {
			t.Errorf("%q: %v %v", bad, found, err)
		}
	}
	if g, found, _ := u.GroupByName("team"); !found || g.GID != 2001 || !slices.Equal(g.Members, []string{"remote"}) {
		t.Errorf("group: %+v", g)
	}
	if g, found, _ := u.GroupByGID(2001); !found || g.Name != "team" {
		t.Errorf("group by number: %+v", g)
	}
	for name, want := range map[string][]int{"remote": {2001, 50, 77}, "local": {100, 50, 77}} {
		e, _, _ := u.ByName(name)
		if got, err := u.GroupsOf(e); err != nil || !slices.Equal(got, want) {
			t.Errorf("groups of %s: %v %v", name, got, err)
		}
	}
	if _, ok := newUsers(passwd, group, write("plain.conf", "passwd: files systemd\n", 0o600), getent).(*fileUsers); !ok {
		t.Error("getent is asked where there are files only")
	}
}
