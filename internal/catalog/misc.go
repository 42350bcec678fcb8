package catalog

import (
	"strings"
)

// Qualify completes an address that has no domain: with qualify_domain for senders, qualify_recipient for recipients.
func (s *Server) Qualify(address string, sender bool) string {
	if strings.Contains(address, "@") {
		return address
	}
	if sender {
		return address + "@" + s.Main.QualifyDomain
	}
	return address + "@" + s.Main.QualifyRecipient
}

// PIDFilePath is where the daemon writes its process id.
func (s *Server) PIDFilePath() string {
	if s.Main.PIDFilePath != "" {
		return string(s.Main.PIDFilePath)
	}
	return string(s.Main.SpoolDirectory) + "/exim-daemon.pid"
}

// login is the name of our own user.
func (s *Server) login() string {
	u, found, err := s.World.Users.ByUID(s.Identity.UID)
	if err != nil || !found {
		return string(s.Main.EximUser)
	}
	return u.Name
}
