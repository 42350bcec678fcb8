package mail

import (
	"maps"
	"reflect"
	"slices"
)

// Fork returns a copy of the session. A session that goes on after one of its messages was taken in continues with the copy, and
// the original stays with the message, which another goroutine delivers. The values of Bag are shared, the maps are not.
func (s *Session) Fork() *Session {
	c := *s
	c.HostAliases = slices.Clone(s.HostAliases)
	c.History = slices.Clone(s.History)
	c.Vars = maps.Clone(s.Vars)
	c.Bag.m = maps.Clone(s.Bag.m)
	return &c
}

// Fork returns a copy of the message whose variables and bag can be changed without the original's; everything else is shared.
func (m *Message) Fork() *Message {
	c := *m
	c.Vars = maps.Clone(m.Vars)
	c.Bag.m = maps.Clone(m.Bag.m)
	return &c
}

// Drop takes the T out of the bag.
func Drop[T any](b *Bag) { delete(b.m, reflect.TypeFor[T]()) }
