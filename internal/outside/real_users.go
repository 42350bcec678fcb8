package outside

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fileUsers finds accounts in passwd(5) and group(5) files. They are read again when they change.
type fileUsers struct {
	passwd userFile[User]
	group  userFile[Group]
}

func newFileUsers(passwd, group string) *fileUsers {
	return &fileUsers{
		passwd: userFile[User]{path: passwd, parse: parseUser, name: func(u User) string { return u.Name }, id: func(u User) int { return u.UID }},
		group:  userFile[Group]{path: group, parse: parseGroup, name: func(g Group) string { return g.Name }, id: func(g Group) int { return g.GID }},
	}
}

// BoundedUsers are the users of u, but nobody has a name of more than length bytes (max_username_length; 0 is no limit).
func BoundedUsers(u Users, length int) Users {
	if length <= 0 {
		return u
	}
	return boundedUsers{u, length}
}

type boundedUsers struct {
	Users
	length int
}

// ByName implements Users.
func (u boundedUsers) ByName(name string) (User, bool, error) {
	if len(name) > u.length {
		return User{}, false, nil
	}
	return u.Users.ByName(name)
}

// maxUserFile bounds a passwd or group file.
const maxUserFile = 64 << 20

// userFile is one of the files, in memory.
type userFile[T any] struct {
	path  string
	parse func(fields []string) (T, bool)
	name  func(T) string
	id    func(T) int

	mu       sync.Mutex
	modified time.Time
	size     int64
	entries  []T
	byName   map[string]int
	byID     map[int]int
}

// load returns the file's present entries. Of two entries with one name or number the first counts.
func (f *userFile[T]) load() (entries []T, byName map[string]int, byID map[int]int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	st, err := os.Stat(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if f.byName != nil && st.ModTime().Equal(f.modified) && st.Size() == f.size {
		return f.entries, f.byName, f.byID, nil
	}
	if st.Size() > maxUserFile {
		return nil, nil, nil, fmt.Errorf("%s is too big", f.path)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, nil, nil, err
	}
	defer file.Close()
	entries, byName, byID = nil, make(map[string]int), make(map[int]int)
	lines := bufio.NewScanner(io.LimitReader(file, maxUserFile))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		e, ok := f.parse(strings.Split(lines.Text(), ":"))
		if !ok {
			continue
		}
		if _, taken := byName[f.name(e)]; !taken {
			byName[f.name(e)] = len(entries)
		}
		if _, taken := byID[f.id(e)]; !taken {
			byID[f.id(e)] = len(entries)
		}
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, nil, nil, err
	}
	f.entries, f.byName, f.byID, f.modified, f.size = entries, byName, byID, st.ModTime(), st.Size()
	return entries, byName, byID, nil
}

func (f *userFile[T]) find(get func(byName map[string]int, byID map[int]int) (int, bool)) (entry T, found bool, err error) {
	entries, byName, byID, err := f.load()
	if err != nil {
		return entry, false, err
	}
	if i, ok := get(byName, byID); ok {
		return entries[i], true, nil
	}
	return entry, false, nil
}

func (f *userFile[T]) named(name string) (T, bool, error) {
	return f.find(func(byName map[string]int, _ map[int]int) (int, bool) { i, ok := byName[name]; return i, ok })
}

func (f *userFile[T]) numbered(id int) (T, bool, error) {
	return f.find(func(_ map[string]int, byID map[int]int) (int, bool) { i, ok := byID[id]; return i, ok })
}

func parseUser(f []string) (User, bool) {
	if len(f) < 7 || f[0] == "" || strings.HasPrefix(f[0], "#") {
		return User{}, false
	}
	uid, err1 := strconv.ParseUint(f[2], 10, 32)
	gid, err2 := strconv.ParseUint(f[3], 10, 32)
	return User{Name: f[0], UID: int(uid), GID: int(gid), Gecos: f[4], Home: f[5], Shell: f[6]}, err1 == nil && err2 == nil
}

func parseGroup(f []string) (Group, bool) {
	if len(f) < 4 || f[0] == "" || strings.HasPrefix(f[0], "#") {
		return Group{}, false
	}
	gid, err := strconv.ParseUint(f[2], 10, 32)
	g := Group{Name: f[0], GID: int(gid)}
	for _, m := range strings.Split(f[3], ",") {
		if m = strings.TrimSpace(m); m != "" {
			g.Members = append(g.Members, m)
		}
	}
	return g, err == nil
}

// ByName implements Users.
func (u *fileUsers) ByName(name string) (User, bool, error) { return u.passwd.named(name) }

// ByUID implements Users.
func (u *fileUsers) ByUID(uid int) (User, bool, error) { return u.passwd.numbered(uid) }

// GroupByName implements Users.
func (u *fileUsers) GroupByName(name string) (Group, bool, error) { return u.group.named(name) }

// GroupByGID implements Users.
func (u *fileUsers) GroupByGID(gid int) (Group, bool, error) { return u.group.numbered(gid) }

// GroupsOf implements Users.
func (u *fileUsers) GroupsOf(user User) ([]int, error) {
	groups, _, _, err := u.group.load()
	if err != nil {
		return nil, err
	}
	return groupsOf(user, groups), nil
}

func groupsOf(user User, groups []Group) []int {
	out := []int{user.GID}
	for _, g := range groups {
		for _, m := range g.Members {
			if m == user.Name && g.GID != user.GID {
				out = append(out, g.GID)
				break
			}
		}
	}
	return out
}
