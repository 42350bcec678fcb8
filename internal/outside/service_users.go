package outside

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// serviceUsers finds accounts in the files first, and then, where nsswitch.conf(5) names further sources (ldap, sss, nis ...), with getent(1):
// those sources are shared objects of the C library, which this program does not load. Answers are kept for a short time.
type serviceUsers struct {
	*fileUsers
	// command is getent, and passwd, group tell whether it is asked.
	command       string
	passwd, group bool
	now           func() time.Time
	// slots bounds the commands that run at a time.
	slots chan struct{}

	mu    sync.Mutex
	known map[string]serviceAnswer
}

type serviceAnswer struct {
	text string // "" for no such entry
	ends time.Time
}

const (
	serviceLife    = time.Minute      // how long an answer is kept
	serviceTimeout = 30 * time.Second // how long getent may take
	serviceSlots   = 8
	serviceKept    = 10000 // answers at the most
	serviceKey     = 256   // length of a name
)

// newUsers returns the users of the system whose files these are.
func newUsers(passwd, group, nsswitch, getent string) Users {
	files := newFileUsers(passwd, group)
	text, err := os.ReadFile(nsswitch)
	if err != nil {
		return files
	}
	u := &serviceUsers{fileUsers: files, command: getent, passwd: furtherSources(string(text), "passwd"), group: furtherSources(string(text), "group"),
		now: time.Now, slots: make(chan struct{}, serviceSlots), known: make(map[string]serviceAnswer)}
	if !u.passwd && !u.group {
		return files
	}
	return u
}

// furtherSources tells whether the database has sources beside the files. What systemd adds to those are accounts without mail.
func furtherSources(nsswitch, database string) bool {
	for line := range strings.Lines(nsswitch) {
		line, _, _ = strings.Cut(line, "#")
		name, sources, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) != database {
			continue
		}
		for _, s := range strings.Fields(sources) {
			switch {
			case s == "files", s == "compat", s == "systemd", strings.HasPrefix(s, "["), strings.HasSuffix(s, "]"):
			default:
				return true
			}
		}
	}
	return false
}

// ByName implements Users.
func (u *serviceUsers) ByName(name string) (User, bool, error) {
	if e, found, err := u.fileUsers.ByName(name); found || err != nil || !u.passwd {
		return e, found, err
	}
	e, found, err := asked(u, "passwd", name, parseUser)
	return e, found && e.Name == name, err // a number is also taken for a uid
}

// ByUID implements Users.
func (u *serviceUsers) ByUID(uid int) (User, bool, error) {
	if e, found, err := u.fileUsers.ByUID(uid); found || err != nil || !u.passwd {
		return e, found, err
	}
	e, found, err := asked(u, "passwd", strconv.Itoa(uid), parseUser)
	return e, found && e.UID == uid, err
}

// GroupByName implements Users.
func (u *serviceUsers) GroupByName(name string) (Group, bool, error) {
	if e, found, err := u.fileUsers.GroupByName(name); found || err != nil || !u.group {
		return e, found, err
	}
	e, found, err := asked(u, "group", name, parseGroup)
	return e, found && e.Name == name, err
}

// GroupByGID implements Users.
func (u *serviceUsers) GroupByGID(gid int) (Group, bool, error) {
	if e, found, err := u.fileUsers.GroupByGID(gid); found || err != nil || !u.group {
		return e, found, err
	}
	e, found, err := asked(u, "group", strconv.Itoa(gid), parseGroup)
	return e, found && e.GID == gid, err
}

// GroupsOf implements Users.
func (u *serviceUsers) GroupsOf(user User) ([]int, error) {
	groups, err := u.fileUsers.GroupsOf(user)
	if err != nil || !u.group {
		return groups, err
	}
	line, err := u.ask("initgroups", user.Name)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(line)
	for i, w := range words {
		gid, err := strconv.ParseUint(w, 10, 32)
		if i == 0 || err != nil || slices.Contains(groups, int(gid)) {
			continue
		}
		groups = append(groups, int(gid))
	}
	return groups, nil
}

// asked is the entry that getent gives for a key.
func asked[T any](u *serviceUsers, database, key string, parse func([]string) (T, bool)) (entry T, found bool, err error) {
	line, err := u.ask(database, key)
	if err != nil || line == "" {
		return entry, false, err
	}
	entry, found = parse(strings.Split(line, ":"))
	return entry, found, nil
}

// ask runs getent, unless the answer is still known. No entry is "". An error is one of the service: temporary.
func (u *serviceUsers) ask(database, key string) (string, error) {
	if key == "" || len(key) > serviceKey || strings.HasPrefix(key, "-") || strings.ContainsAny(key, ":\n\x00 ") {
		return "", nil
	}
	u.mu.Lock()
	a, ok := u.known[database+" "+key]
	u.mu.Unlock()
	if ok && u.now().Before(a.ends) {
		return a.text, nil
	}
	u.slots <- struct{}{}
	defer func() { <-u.slots }()
	ctx, cancel := context.WithTimeout(context.Background(), serviceTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, u.command, database, key).Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 2: // "one or more supplied keys could not be found"
		out = nil
	case err != nil:
		return "", fmt.Errorf("%s %s %s: %w", u.command, database, key, err)
	}
	text, _, _ := strings.Cut(string(out), "\n")
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.known) >= serviceKept {
		clear(u.known)
	}
	u.known[database+" "+key] = serviceAnswer{text: text, ends: u.now().Add(serviceLife)}
	return text, nil
}
