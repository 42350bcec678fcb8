package catalog

import (
	"io"
	"strings"
	"time"

	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// settleWorld puts the main options in force that change how this configuration's world looks: its version, what the resolver does,
// and which environment variables are seen.
func (s *Server) settleWorld() {
	m := s.Main
	s.World.Version = m.EximVersion
	outside.ConfigureDNS(s.World, outside.DNSOptions{Retrans: m.DNSRetrans, Retry: m.DNSRetry, EDNS0: m.DNSUseEDNS0, DNSSEC: m.DNSDNSSECOK,
		CNAMELoops: m.DNSCNAMELoops})
	s.World.Users = outside.BoundedUsers(s.World.Users, m.MaxUsernameLength)
	if m.SlowLookupLog > 0 {
		s.World.DNS = outside.WatchedResolver(s.World.DNS, s.World.Clock, time.Duration(m.SlowLookupLog)*time.Millisecond, func(q outside.Question, took time.Duration) {
			if s.Log != nil {
				s.Log.Mainf("", "Long %s lookup for '%s': %d msec", q.Type, eventlog.Printable(q.Name, m.PrintTopBitChars), took.Milliseconds())
			}
		})
	}
	variables := map[string]string{}
	for _, v := range s.Config.Environment() {
		name, value, _ := strings.Cut(v, "=")
		variables[name] = value
	}
	s.World.Environment = func(name string) (string, bool) {
		value, set := variables[name]
		return value, set
	}
}

// LogMistake writes a mistake in the configuration to the panic log that the part before the mistake names, or to the usual one.
// Nothing is written where no file could be opened, and nothing of what goes wrong: the caller has been told of the mistake.
func LogMistake(world *outside.World, e *config.Error) {
	if e.Partial == nil {
		return
	}
	m := option.Of[config.Main](e.Partial.Main)
	if m.SpoolDirectory == "" {
		return
	}
	part := &Server{World: world, Main: m}
	if part.identify() != nil {
		return
	}
	uid, gid := part.owner()
	log := eventlog.Open(world, eventlog.Settings{Path: string(m.LogFilePath), SpoolDirectory: string(m.SpoolDirectory), Timezone: m.LogTimezone,
		UID: uid, GID: gid, Stderr: io.Discard, Location: config.Zone(m.Timezone)})
	defer log.Close()
	log.Write(eventlog.Entry{To: eventlog.Panic, Text: e.Error(), Continued: true})
}
