package catalog

import (
	"slices"
	"testing"

	"exigo/internal/outside"
	"exigo/internal/testkit"
	"exigo/internal/transport"
)

// TestOwnGroups: the exim user keeps the groups he is in, with exim_group in the place of his account's.
func TestOwnGroups(t *testing.T) {
	world := testkit.NewWorld(t).World
	users := testkit.NewUsers()
	users.Add(outside.User{Name: "mail", UID: 70, GID: 70}, outside.Group{Name: "shadow", GID: 42, Members: []string{"mail"}}, outside.Group{Name: "other", GID: 43})
	users.Add(outside.User{Name: "alone", UID: 71, GID: 71})
	world.Users = users
	for uid, want := range map[int][]int{70: {90, 42}, 71: nil, 72: nil} {
		s := &Server{World: world, Identity: transport.Identity{UID: uid, GID: 90}}
		if got := s.ownGroups(); !slices.Equal(got, want) {
			t.Errorf("user %d: %v", uid, got)
		}
	}
}
