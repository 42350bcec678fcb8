package acl

import (
	"strings"
	"time"

	"exigo/internal/hints"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// sighting is what the seen table keeps: when the key was seen, if that is not when the record was written.
type sighting struct {
	At int64 `json:",omitempty"` // Unix seconds
}

// seenTable is the seen database with the field that this condition adds.
var seenTable = hints.Table[sighting]{Name: "seen", Doc: "times of the seen ACL condition"}

// sightingTest is a parsed seen condition (spec 44.38).
type sightingTest struct {
	before          bool
	interval        time.Duration
	key             string
	readonly, write bool
	refresh         time.Duration
}

// checkSeen tells whether a key was seen since, or before, an interval ago.
func checkSeen(r *Run, argument mail.Value) Verdict {
	x, verdict := r.parseSeen(argument.S)
	if verdict != OK {
		return verdict
	}
	now := r.Scope.Engine.World.Clock.Now()
	test := now.Add(-x.interval)
	held := false
	change := func(old sighting, stamp time.Time, found bool) (sighting, hints.Action) {
		at := stamp
		if old.At != 0 {
			at = time.Unix(old.At, 0)
		}
		held = found && (x.before && at.Unix() <= test.Unix() || !x.before && at.Unix() >= test.Unix())
		switch {
		case x.readonly:
			return sighting{}, hints.Keep
		case x.write || !x.before || !found:
			return sighting{}, hints.Write
		case held && now.Sub(stamp) > x.refresh:
			return sighting{At: test.Unix()}, hints.Write
		}
		return old, hints.Keep
	}
	if r.Services.Hints == nil {
		change(sighting{}, time.Time{}, false)
	} else if err := seenTable.Update(r.Services.Hints, x.key, change); err != nil {
		r.debug("seen database: %v", err)
		return r.Deferred("database for 'seen' not available")
	}
	if held {
		return OK
	}
	return Fail
}

// parseSeen reads "[-]interval / options".
func (r *Run) parseSeen(text string) (sightingTest, Verdict) {
	x := sightingTest{key: addressText(r.Scope.Session), refresh: 10 * 24 * time.Hour}
	items := slashList(text)
	if len(items) == 0 {
		return x, r.Mistake("failed to parse '" + text + "'")
	}
	interval, before := strings.CutPrefix(items[0], "-")
	var ok bool
	x.before = before
	if x.interval, ok = option.ParseTime(interval); !ok {
		return x, r.Mistake("failed to parse '" + text + "'")
	}
	for _, item := range items[1:] {
		switch name, value, _ := strings.Cut(item, "="); name {
		case "key":
			x.key = value
		case "readonly":
			x.readonly, x.write = true, false
		case "write":
			x.write, x.readonly = true, false
		case "refresh":
			if x.refresh, ok = option.ParseTime(value); !ok {
				return x, r.Mistake("failed to parse '" + text + "'")
			}
		default:
			return x, r.Mistake("unrecognised option '" + item + "' in '" + text + "'")
		}
	}
	return x, OK
}
