package catalog

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"exigo/internal/acl"
	"exigo/internal/expand"
	"exigo/internal/mail"
)

// tracing is what control = debug has begun for a session; its zero value traces nothing. It keeps no file open, so that nothing need be
// closed when the session ends.
type tracing struct {
	mu     sync.Mutex
	path   string // of the file, "" if nothing is traced
	server *Server
	// pending is what was said before the trigger, of at most room bytes; armed says that there was none yet.
	pending []byte
	room    int
	armed   bool
}

// maxArmed bounds how many sessions wait for a trigger, maxPending what one remembers.
const (
	maxArmed   = 64
	maxPending = 1 << 20
)

// armory is the list of sessions that wait for something to be written to the panic log.
type armory struct {
	mu   sync.Mutex
	list []*tracing
}

// add takes a session in, in the place of the oldest if there are too many.
func (a *armory) add(t *tracing) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) >= maxArmed {
		a.list = append(a.list[:0], a.list[1:]...)
	}
	a.list = append(a.list, t)
}

// fire triggers all.
func (a *armory) fire() {
	a.mu.Lock()
	list := a.list
	a.list = nil
	a.mu.Unlock()
	for _, t := range list {
		t.trigger()
	}
}

// debugControl obeys control = debug with its options (spec 44.23): what expansions and ACLs of the session do goes to a file beside the logs.
func (s *Server) debugControl(sc *expand.Scope, options []string) {
	if sc.Session == nil {
		return
	}
	t := mail.State[tracing](&sc.Session.Bag)
	tag, trigger, room := "", "", 0
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "stop", "kill":
			t.stop(name == "kill")
			sc.Debug = nil
			return
		case "tag":
			tag = value
		case "trigger":
			trigger = value
		case "pretrigger":
			room, _ = strconv.Atoi(value)
		}
	}
	if strings.ContainsAny(tag, "/\x00\n\r") {
		s.Log.Panicf(id(sc), "debug: bad tag '%s'", tag)
		return
	}
	t.start(s, tag, trigger, min(room, maxPending))
	sc.Debug = t.write
}

// start begins a file, or goes on with the one that there is.
func (t *tracing) start(s *Server, tag, trigger string, room int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if path := s.Log.DebugPath(tag); t.path == "" || tag != "" {
		t.path = path
	}
	t.server = s
	switch {
	case room > 0 && trigger != "now" && t.pending == nil:
		t.room, t.armed = room, true
		t.pending = []byte{}
		if trigger == "paniclog" {
			s.armed.add(t)
		}
	case trigger == "now" || room == 0:
		t.flush()
	}
}

// stop ends tracing, and removes the file on request.
func (t *tracing) stop(remove bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if remove && t.path != "" {
		os.Remove(t.path)
	}
	t.path, t.pending, t.armed = "", nil, false
}

// trigger writes what was remembered; from then on lines are written at once.
func (t *tracing) trigger() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.armed && t.path != "" {
		t.flush()
	}
}

// flush is called with the lock held.
func (t *tracing) flush() {
	text := t.pending
	t.armed, t.pending = false, nil
	t.append(text)
}

// append adds to the file; a file that cannot be written is nobody's concern.
func (t *tracing) append(text []byte) {
	f, err := os.OpenFile(t.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return
	}
	defer f.Close()
	f.Write(text)
}

// write is the scope's Debug.
func (t *tracing) write(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.path == "" {
		return
	}
	line := fmt.Appendf(nil, "%s%s\n", t.server.Log.Stamp(t.server.World.Clock.Now()), fmt.Sprintf(format, args...))
	if !t.armed {
		t.append(line)
		return
	}
	if t.pending = append(t.pending, line...); len(t.pending) > t.room {
		t.pending = append(t.pending[:0], t.pending[len(t.pending)-t.room:]...)
	}
}

// runACL runs an ACL, traced if an earlier one of the session asked for that.
func (s *Server) runACL(ctx context.Context, sc *expand.Scope, phase acl.Phase, text string) acl.Outcome {
	if sc.Debug == nil && sc.Session != nil {
		if t := mail.Peek[tracing](&sc.Session.Bag); t != nil && t.active() {
			sc.Debug = t.write
		}
	}
	return s.ACL.Run(ctx, sc, phase, text)
}

func (t *tracing) active() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.path != ""
}
