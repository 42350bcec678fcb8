package passwd

import (
	"errors"
	"testing"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
	"exigo/internal/outside"
)

type users struct{ outside.Users }

// ByName knows the King Rat of spec 9.4, and a name that cannot be looked up now.
func (users) ByName(name string) (outside.User, bool, error) {
	switch name {
	case "kr":
		return outside.User{Name: "kr", UID: 42, GID: 43, Gecos: "King Rat", Home: "/home/kr", Shell: "/bin/bash"}, true, nil
	case "later":
		return outside.User{}, false, errors.New("server is down")
	}
	return outside.User{}, false, nil
}

func TestSuite(t *testing.T) {
	world := lookuptest.World()
	world.Users = users{}
	type c = lookuptest.Case
	lookuptest.Suite{Drivers: []*lookup.Driver{Driver()}, World: world, Cases: []c{
		{Type: "passwd", Key: "kr", Data: "*:42:43:King Rat:/home/kr:/bin/bash"},
		{Type: "passwd", Key: "nobody-of-that-name", Missing: true},
		{Type: "passwd", Key: "", Missing: true},
		{Type: "passwd", Key: "later", Err: "server is down", Defer: true},
	}}.Run(t)
}
