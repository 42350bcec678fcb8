package catalog

import (
	"context"
	"os"
	"strconv"

	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/feature"
	"exigo/internal/steward"
)

// GiveUpRoot starts the steward and makes this process the exim user for good, when it is root now. ports are those that the
// steward may bind. Without root it does nothing.
func (s *Server) GiveUpRoot(ctx context.Context, ports []int) error {
	if s.request.Unprivileged || os.Geteuid() != 0 || s.Identity.UID == 0 {
		return nil
	}
	st, err := steward.Start(ctx, steward.Policy{UID: s.Identity.UID, GID: s.Identity.GID, Groups: s.ownGroups(), NeverUsers: s.Main.NeverUsers.IDs,
		NamedGroups: s.namedGroups(), Ports: ports})
	if err != nil {
		return err
	}
	st.Drivers, st.World = s.Catalog.Transports, s.World
	s.Steward = st
	s.Deliverer.Steward = s.deliverySteward()
	return nil
}

// Begin lets the rooms start what they keep running. perl is what the command line says about that room: "s", "d" or nothing. It is
// called after GiveUpRoot.
func (s *Server) Begin(ctx context.Context, perl string) error {
	for _, f := range s.Catalog.Features {
		if f.Start == nil {
			continue
		}
		if err := f.Start(ctx, feature.Beginning{Config: s.Config, Perl: perl}); err != nil {
			return err
		}
	}
	return nil
}

// deliverySteward is the steward that local deliveries go through: with deliver_drop_privilege nobody's, as they then run as the exim
// user whatever a router or transport says (spec 56.3).
func (s *Server) deliverySteward() steward.Steward {
	if s.Main.DeliverDropPrivilege {
		return &steward.Local{Drivers: s.Catalog.Transports, World: s.World}
	}
	return s.Steward
}

// Divert sends log lines elsewhere: to whoever tests something (-bh).
func (s *Server) Divert(to func(to eventlog.Stream, id, text string)) {
	settings := s.logSettings
	settings.Divert = to
	s.Log.Configure(settings)
}

// ownGroups are exim_group and the groups that the exim user is in besides, as for Exim: so he can read keys and passwords and reach daemons that
// are open to a group.
func (s *Server) ownGroups() []int {
	u, found, err := s.World.Users.ByUID(s.Identity.UID)
	if err != nil || !found {
		return nil
	}
	groups, err := s.World.Users.GroupsOf(u)
	if err != nil || len(groups) < 2 {
		return nil
	}
	return append([]int{s.Identity.GID}, groups[1:]...) // behind the one of the account
}

// namedGroups are the groups that options of routers and transports name without an expansion.
func (s *Server) namedGroups() []int {
	var out []int
	for _, list := range [][]*config.Instance{s.Config.Routers, s.Config.Transports} {
		for _, i := range list {
			for _, text := range i.Texts("group", "command_group") {
				if n, err := strconv.ParseUint(text, 10, 31); err == nil {
					out = append(out, int(n))
				} else if g, found, err := s.World.Users.GroupByName(text); found && err == nil {
					out = append(out, g.GID)
				}
			}
		}
	}
	return out
}
