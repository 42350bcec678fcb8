package catalog

import (
	"context"
	"net"
	"os/exec"
	"strings"
	"sync"
	"time"

	"exigo/internal/acl"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/queue"
	"exigo/internal/smtpserver"
	"exigo/internal/tlspolicy"

	"golang.org/x/sys/unix"
)

// compileTLS makes the TLS policy. Its files are read when they are needed.
func (s *Server) compileTLS() error {
	var adjust []tlspolicy.Adjust
	for _, f := range s.Catalog.Features {
		adjust = append(adjust, f.TLS...)
	}
	s.TLS = &tlspolicy.Policy{World: s.World, Expand: s.Engine.Expand, Adjust: adjust,
		MatchHost: func(sc *expand.Scope, text string) (bool, error) {
			if sc.Host != nil {
				return matchHost(sc, text, sc.Host.Name, sc.Host.Address)
			}
			return matchHost(sc, text, "", sc.Session.Host)
		},
		Log:   func(id, line string) { s.Log.Mainf(id, "%s", line) },
		Panic: func(line string) { s.Log.Panicf("", "%s", line) }}
	if raise := s.raiseInSession(); raise != nil {
		s.TLS.Event = func(sc *expand.Scope, name, data string) string { return raise(sc.Ctx, sc, name, data) }
	}
	return nil
}

// smtpServices connect the SMTP server with everything behind it.
func (s *Server) smtpServices() smtpserver.Services {
	var extensions []*smtpserver.Extension
	var accept []smtpserver.Accept
	for _, f := range s.Catalog.Features {
		extensions = append(extensions, f.Extensions...)
		accept = append(accept, f.Accept...)
	}
	rewriter := s.Rewriter()
	return smtpserver.Services{
		World: s.World, Engine: s.Engine, Config: s.Config, Log: s.Log, Format: s.Format(s.Log.Selectors()),
		RunACL: func(ctx context.Context, sc *expand.Scope, phase acl.Phase, text string) (acl.Outcome, error) {
			return s.runACL(ctx, sc, phase, text), nil
		},
		MatchHost: matchHost, MatchDomain: matchDomain, MatchAddress: matchAddress,
		Receive:     s.receiveSMTP,
		RewriteSMTP: func(sc *expand.Scope, a string, sender bool) string { return rewriter.SMTP(sc, a, sender) },
		Verify: func(ctx context.Context, sc *expand.Scope, address string) acl.Verified {
			return s.verifyForACL(ctx, sc, address, acl.VerifyOptions{})
		},
		List: func(ctx context.Context, sc *expand.Scope, address string) string {
			mail.State[trial](&sc.Bag).on = true
			defer func() { mail.State[trial](&sc.Bag).on = false }()
			return strings.ReplaceAll(s.Routes.Expansion(ctx, sc, address), "\r\n", "\n")
		},
		StartQueueRun: func(text, name string, done func()) error {
			go func() {
				defer done()
				s.RunQueue(context.Background(), queue.Selection{Words: "-R " + text, Recipient: text, Queue: name, Force: true})
			}()
			return nil
		},
		RunQueue: func(ctx context.Context, r smtpserver.QueueRun) {
			s.RunQueue(ctx, queue.Selection{Kind: r.Kind, Words: r.Words, Queue: r.Queue, Only: r.Only, Begin: r.Begin, Over: r.Over, Force: true})
		},
		StartCommand: startCommand, ETRNLock: newKeyLock().take,
		SpoolSpace:     func() (int64, int64) { return space(s.Spool.Directory) },
		LogSpace:       s.logSpace,
		Authenticators: s.Authenticators, TLS: s.TLS, Event: s.raiseInSession(), Extensions: extensions, Accept: accept, Onward: s.onward(),
	}
}

// trial is the state of a scope in which somebody only asks what an address would become (EXPN): what is done to it on the way is no entry for
// the log, but shows on the standard error.
type trial struct{ on bool }

// ServeSMTP serves one connection that the daemon accepted.
func (s *Server) ServeSMTP(ctx context.Context, c net.Conn, onConnect bool) {
	s.SMTP.Serve(ctx, c, smtpserver.Start{TLSOnConnect: onConnect})
}

// startCommand runs the command of smtp_etrn_command.
func startCommand(argv []string, done func()) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer done()
		cmd.Wait()
	}()
	return nil
}

// keyLock lets one holder have each key.
type keyLock struct {
	mu   sync.Mutex
	held map[string]time.Time
}

func newKeyLock() *keyLock { return &keyLock{held: map[string]time.Time{}} }

func (k *keyLock) take(key string) (busy bool, release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, held := k.held[key]; held {
		return true, nil
	}
	k.held[key] = time.Time{}
	return false, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.held, key)
	}
}

// space returns the free bytes and inodes of a path's file system, -1 where they are unknown.
// logSpace is the space where log files are written; where they go nowhere but to syslog it is not known.
func (s *Server) logSpace() (bytes, inodes int64) {
	dir := s.Log.Directory()
	if dir == "" {
		return -1, -1
	}
	return space(dir)
}

func space(path string) (bytes, inodes int64) {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return -1, -1
	}
	inodes = int64(st.Ffree)
	if st.Files == 0 {
		inodes = -1
	}
	return int64(st.Bavail) * st.Bsize, inodes
}
