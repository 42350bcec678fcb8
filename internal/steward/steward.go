// Package steward is what is left of root. Start forks the root child of the program, a fresh process of the same
// binary, and gives root up in the calling process for good. The child answers a closed set of requests:
// bind one of the ports named at the start, and start a helper under an unprivileged identity.
//
// Trust: the policy comes from the configuration, before root is given up; every later request comes from the engine,
// which is exposed to the network, and is checked against the policy. Nothing from the network is parsed here.
package steward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"exigo/internal/helper"
	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/transport"
)

// Identity is the user that something is done as.
type Identity = transport.Identity

// Steward does for the engine what needs another user's rights.
type Steward interface {
	// Listen opens a listening socket; network is "tcp", "tcp4", "tcp6" or "unix".
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	// Helper returns a client of a process that runs as the identity. The caller calls Release when the job is done.
	Helper(ctx context.Context, id Identity) (*helper.Client, error)
	// ReadAs reads a regular file of at most limit bytes as the identity; StatAs looks at a file.
	ReadAs(ctx context.Context, id Identity, path string, limit int64) ([]byte, helper.FileInfo, error)
	StatAs(ctx context.Context, id Identity, path string, link bool) (helper.FileInfo, error)
	// Close ends the helpers and the steward process.
	Close() error
}

// Policy is what the root child may do. It is fixed when the child starts.
type Policy struct {
	// UID, GID and Groups are the engine's identity (exim_user, exim_group).
	UID, GID int
	Groups   []int
	// NeverUsers may not be used for deliveries; user 0 never may.
	NeverUsers []int
	// NamedGroups are the groups that the configuration names. Others a delivery may have only if they are its user's, or ordinary ones.
	NamedGroups []int
	// Ports are the TCP ports that may be bound (daemon_smtp_ports); others the engine binds itself or not at all.
	Ports []int
}

// ErrRefused is wrapped by the errors of requests that the policy forbids.
var ErrRefused = errors.New("refused by the steward's policy")

// check refuses an identity that the policy forbids.
func (p *Policy) check(id Identity) error {
	if id.UID <= 0 || id.GID < 0 || slices.Contains(p.NeverUsers, id.UID) {
		return fmt.Errorf("%w: uid=%d gid=%d", ErrRefused, id.UID, id.GID)
	}
	if len(id.Groups) > maxGroups || slices.ContainsFunc(id.Groups, func(g int) bool { return g < 0 }) {
		return fmt.Errorf("%w: groups", ErrRefused)
	}
	return nil
}

const maxGroups = 1024

// ordinaryGroup is the first number of groups that are people's; those below give rights to parts of the system (disk, shadow, docker).
const ordinaryGroup = 1000

// checkGroups refuses groups that neither the configuration names nor the user is in: an engine that an outsider has taken over must not be able
// to choose groups that lead to root.
func (p *Policy) checkGroups(id Identity, users outside.Users) error {
	allowed := append([]int{p.GID}, p.NamedGroups...)
	u, found, err := users.ByUID(id.UID)
	if err != nil {
		return err
	}
	if found {
		own, err := users.GroupsOf(u)
		if err != nil {
			return err
		}
		allowed = append(allowed, own...)
	}
	if !slices.Contains(allowed, id.GID) && id.GID < ordinaryGroup {
		return fmt.Errorf("%w: uid=%d is not in group %d, which the configuration does not name", ErrRefused, id.UID, id.GID)
	}
	for _, g := range id.Groups {
		if g != id.GID && !slices.Contains(allowed, g) {
			return fmt.Errorf("%w: uid=%d is not in group %d", ErrRefused, id.UID, g)
		}
	}
	return nil
}

// Local is the steward of a program that never was root: everything is done in this process, as its user.
type Local struct {
	Drivers []*transport.Driver
	World   *outside.World
}

// Listen implements Steward.
func (l *Local) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, network, address)
}

// Helper implements Steward; the identity is this process's own, whatever is asked for.
func (l *Local) Helper(context.Context, Identity) (*helper.Client, error) {
	return helper.NewLocal(l.Drivers, l.World), nil
}

// ReadAs implements Steward.
func (l *Local) ReadAs(ctx context.Context, id Identity, path string, limit int64) ([]byte, helper.FileInfo, error) {
	return helper.NewLocal(l.Drivers, l.World).ReadFile(ctx, path, limit)
}

// StatAs implements Steward.
func (l *Local) StatAs(ctx context.Context, id Identity, path string, link bool) (helper.FileInfo, error) {
	return helper.NewLocal(l.Drivers, l.World).Stat(ctx, path, link)
}

// Close implements Steward.
func (l *Local) Close() error { return nil }

// Deliver runs a local transport for the run's addresses as the run's identity, and leaves the outcome in each
// address. The run has been begun (Run.Begin).
func Deliver(ctx context.Context, s Steward, r *transport.Run) {
	client, err := s.Helper(ctx, r.Identity)
	if err == nil {
		err = client.Deliver(ctx, r)
		client.Release()
	} else {
		err = transport.Defer(mail.ErrnoUIDFail, "unable to run the %s transport as uid=%d gid=%d: %v", r.Transport.Name, r.Identity.UID, r.Identity.GID, err)
	}
	r.Settle(err)
}
