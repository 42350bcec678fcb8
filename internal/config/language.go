package config

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"exigo/internal/expand"
	"exigo/internal/option"
)

// LanguageSettings gives the expansion language the options that it needs. They are put together once, when first asked for.
func (c *Config) LanguageSettings() *expand.Settings {
	c.language.Do(func() { c.languageSettings = c.makeLanguageSettings() })
	return c.languageSettings
}

// NamedListCached tells whether the list was defined as domainlist_cache or its like.
func (c *Config) NamedListCached(kind byte, name string) bool {
	i, ok := c.index[listKey{kind, name}]
	return ok && c.Lists[i].Cache
}

func (c *Config) makeLanguageSettings() *expand.Settings {
	m := option.Of[Main](c.Main)
	s := &expand.Settings{
		PrimaryHostname: m.PrimaryHostname, QualifyDomain: m.QualifyDomain, QualifyRecipient: m.QualifyRecipient,
		SpoolDirectory: string(m.SpoolDirectory), LogDirectory: c.logDirectory(m), ConfigFile: c.Path, EximPath: m.EximPath,
		LocalhostNumber: strconv.Itoa(max(m.LocalhostID, 0)), BounceReturnSizeLimit: int64(m.BounceReturnSizeLimit),
		LogIncomingPort: strings.Contains(m.LogSelector, "+incoming_port"), HeadersCharset: m.HeadersCharset, PrintTopbitchars: m.PrintTopBitChars,
		CheckRFC2047Length: m.CheckRFC2047Length, MessageBodyVisible: int(m.MessageBodyVisible), MessageBodyNewlines: m.MessageBodyNewlines,
		StrictACLVars: m.StrictACLVars, AllowUTF8Domains: m.AllowUTF8Domains, AllowDomainLiterals: m.AllowDomainLiterals,
		HostsTreatAsLocal: string(m.HostsTreatAsLocal), DNSAgainMeansNonexist: string(m.DNSAgainMeansNonExist),
		HostLookupOrder: strings.Join(m.HostLookupOrder, ":"), DNSIPv4Lookup: string(m.DNSIPv4Lookup), DisableIPv6: m.DisableIPv6, AllowInsecureTaintedData: m.AllowInsecureTaintedData,
	}
	if own := append(append([]string{}, m.LocalInterfaces...), m.ExtraLocalInterfaces...); len(own) > 0 {
		s.LocalInterfaces = "<\n" + strings.Join(own, "\n")
	}
	if u, found, err := findUser(c.world.Users, string(m.EximUser)); err == nil && found {
		s.EximUID = u.UID
	} else {
		s.EximUID, _ = strconv.Atoi(string(m.EximUser))
	}
	s.EximGID, _ = strconv.Atoi(string(m.EximGroup))
	if g, found, err := c.world.Users.GroupByName(string(m.EximGroup)); err == nil && found {
		s.EximGID = g.GID
	}
	s.Location = Zone(m.Timezone)
	s.InitialDirectory, _ = os.Getwd()
	return s
}

// Zone is the time zone of the option timezone, nil for the system's. As in the C library, a name that nobody knows stands for UTC.
func Zone(name string) *time.Location {
	if name == "" {
		return nil
	}
	if zone, err := time.LoadLocation(name); err == nil {
		return zone
	}
	return time.FixedZone(name, 0)
}

// logDirectory is where the log files are, "" when there are none.
func (c *Config) logDirectory(m *Main) string {
	for _, item := range option.SplitList(string(m.LogFilePath)) {
		if item != "" && item != "syslog" {
			return filepath.Dir(item)
		}
	}
	return string(m.SpoolDirectory) + "/log"
}
