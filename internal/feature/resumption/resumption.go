// Package resumption is the room of TLS session resumption (spec 43.17): the server hands clients tickets, with which their next connection
// needs no signature and no certificates. The keys of the tickets are in memory only, and change every hour.
//
// Trust: a ticket comes from a client and counts only if it was made with one of our keys.
package resumption

import (
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/tlspolicy"
)

// settings are the room's options in the main section.
type settings struct{ hosts option.HostList }

// Feature is the room.
func Feature() *feature.Feature {
	t := &tickets{}
	return &feature.Feature{
		Name: "resumption", Doc: "TLS sessions that clients resume (server side).",
		Options: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "tls_resumption_hosts", Field: func(s *settings) any { return &s.hosts }, Doc: "Hosts that are offered to resume TLS sessions."},
		}}},
		TLS: []tlspolicy.Adjust{{Name: "resumption", Server: t.server, Finished: finished}},
	}
}

// The bits of $tls_in_resumption.
const (
	supported = 1 << iota
	requested // the client can take a ticket
	offered   // the client offered a session
	issued    // the server made a ticket
	used      // a session was resumed
)

// seen is what happened in the session's handshake.
type seen struct{ bits int }

// server lets the peer resume sessions if tls_resumption_hosts says so.
func (t *tickets) server(s *expand.Scope, h *tlspolicy.Handshake) error {
	hosts := string(option.Of[settings](s.Config.MainOptions()).hosts)
	if hosts == "" || s.Session == nil {
		return nil
	}
	if m, err := list.Host(s, hosts, "", s.Session.Host); err != nil || !m.Matched {
		return nil // a list that fails counts as no match, as with the other options of TLS
	}
	keys, err := t.keys(s.Engine.World)
	if err != nil {
		return &tlspolicy.Error{Text: fmt.Sprintf("(ticket key): %v", err)}
	}
	c, now := h.Config, mail.State[seen](&s.Session.Bag)
	now.bits = 0
	c.SessionTicketsDisabled = false
	c.SetSessionTicketKeys(keys)
	c.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		now.bits |= requested | issued
		return c.EncryptTicket(state, session)
	}
	c.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		now.bits |= requested
		if len(ticket) > 0 { // TLS 1.2 asks for a ticket with an empty one
			now.bits |= offered
		}
		return c.DecryptTicket(ticket, state)
	}
	return nil
}

// finished sets $tls_in_resumption.
func finished(s *expand.Scope, h *tlspolicy.Handshake, state tls.ConnectionState, t *mail.TLS) error {
	if !h.Server || s.Session == nil {
		return nil
	}
	t.Resumption = supported
	if now := mail.Peek[seen](&s.Session.Bag); now != nil {
		t.Resumption |= now.bits
	}
	if state.DidResume {
		t.Resumption |= requested | offered | used
	}
	return nil
}

// lifetime is how long tickets are made with one key; they are taken for as long again.
const lifetime = time.Hour

// tickets holds the keys of all connections of the process: a configuration is made for each, and crypto/tls would make keys for each.
type tickets struct {
	mu      sync.Mutex
	made    time.Time
	current [][32]byte // the newest first
}

// keys returns the key for new tickets and those with which others may have been made.
func (t *tickets) keys(w *outside.World) ([][32]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := w.Clock.Now()
	age := now.Sub(t.made)
	if len(t.current) > 0 && age >= 0 && age < lifetime {
		return t.current, nil
	}
	var fresh [32]byte
	if _, err := w.Random.Read(fresh[:]); err != nil {
		return nil, err
	}
	keep := [][32]byte{fresh}
	if len(t.current) > 0 && age >= 0 && age < 2*lifetime {
		keep = append(keep, t.current[0])
	}
	t.current, t.made = keep, now
	return keep, nil
}
