package outside

import (
	"context"
	"fmt"
	"testing"
	"time"
)

type stepClock struct {
	Clock
	now time.Time
}

func (c *stepClock) Now() time.Time { c.now = c.now.Add(30 * time.Millisecond); return c.now }

type emptyResolver struct{}

func (emptyResolver) Lookup(context.Context, Question) (Answer, error) { return Answer{}, nil }

// TestWatchedResolver: slow look-ups are reported.
func TestWatchedResolver(t *testing.T) {
	for limit, want := range map[time.Duration]string{20 * time.Millisecond: "MX x.test 30ms", 30 * time.Millisecond: ""} {
		got := ""
		r := WatchedResolver(emptyResolver{}, &stepClock{}, limit, func(q Question, took time.Duration) { got = fmt.Sprint(q.Type, " ", q.Name, " ", took) })
		r.Lookup(context.Background(), Question{Name: "x.test", Type: TypeMX})
		if got != want {
			t.Errorf("%v: %q", limit, got)
		}
	}
	if RRType(257).String() != "TYPE257" {
		t.Error(RRType(257))
	}
}

type oneUser struct{ Users }

func (oneUser) ByName(name string) (User, bool, error) { return User{Name: name}, true, nil }

// TestBoundedUsers: longer names are nobody's.
func TestBoundedUsers(t *testing.T) {
	for _, c := range []struct {
		length int
		name   string
		want   bool
	}{{0, "longername", true}, {8, "longername", false}, {8, "eightchr", true}} {
		if _, found, _ := BoundedUsers(oneUser{}, c.length).ByName(c.name); found != c.want {
			t.Errorf("%+v", c)
		}
	}
}
