package testkit

import (
	"os"
	"sync"

	"exigo/internal/outside"
)

// Users are accounts of tests.
type Users struct {
	mu     sync.Mutex
	users  []outside.User
	groups []outside.Group
	// Err, if set, is the (temporary) error of every lookup.
	Err error
}

// NewUsers makes the accounts root, exim (which has the ids of the test's own process, so that files can be owned by it) and nobody.
func NewUsers() *Users {
	u := &Users{}
	u.Add(outside.User{Name: "root", UID: 0, GID: 0, Gecos: "Charlie Root", Home: "/root", Shell: "/bin/sh"}, outside.Group{Name: "root", GID: 0})
	u.Add(outside.User{Name: "exim", UID: os.Getuid(), GID: os.Getgid(), Gecos: "Exim", Home: "/var/spool/exim", Shell: "/bin/false"},
		outside.Group{Name: "exim", GID: os.Getgid()})
	u.Add(outside.User{Name: "nobody", UID: 65534, GID: 65534, Home: "/nonexistent", Shell: "/bin/false"}, outside.Group{Name: "nogroup", GID: 65534})
	return u
}

// Add adds an account and groups.
func (u *Users) Add(user outside.User, groups ...outside.Group) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.users = append(u.users, user)
	u.groups = append(u.groups, groups...)
}

func (u *Users) user(match func(outside.User) bool) (outside.User, bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, x := range u.users {
		if u.Err == nil && match(x) {
			return x, true, nil
		}
	}
	return outside.User{}, false, u.Err
}

func (u *Users) group(match func(outside.Group) bool) (outside.Group, bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, x := range u.groups {
		if u.Err == nil && match(x) {
			return x, true, nil
		}
	}
	return outside.Group{}, false, u.Err
}

// ByName implements outside.Users.
func (u *Users) ByName(name string) (outside.User, bool, error) {
	return u.user(func(x outside.User) bool { return x.Name == name })
}

// ByUID implements outside.Users.
func (u *Users) ByUID(uid int) (outside.User, bool, error) {
	return u.user(func(x outside.User) bool { return x.UID == uid })
}

// GroupByName implements outside.Users.
func (u *Users) GroupByName(name string) (outside.Group, bool, error) {
	return u.group(func(x outside.Group) bool { return x.Name == name })
}

// GroupByGID implements outside.Users.
func (u *Users) GroupByGID(gid int) (outside.Group, bool, error) {
	return u.group(func(x outside.Group) bool { return x.GID == gid })
}

// GroupsOf implements outside.Users.
func (u *Users) GroupsOf(user outside.User) ([]int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := []int{user.GID}
	for _, g := range u.groups {
		for _, m := range g.Members {
			if m == user.Name && g.GID != user.GID {
				out = append(out, g.GID)
			}
		}
	}
	return out, u.Err
}
