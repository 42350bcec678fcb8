package cli

import (
	"context"
	"fmt"
	"strings"
)

// version is -bV: what is built in, and which configuration is read.
func (p *Program) version(context.Context) error {
	s := p.Server
	var lookups, routers, transports, authenticators, scanners []string
	for _, d := range s.Catalog.Lookups {
		if !d.Absent {
			lookups = append(lookups, d.Name)
		}
	}
	for _, f := range s.Catalog.Features {
		for _, d := range f.Lookups {
			lookups = append(lookups, d.Name)
		}
		scanners = append(scanners, f.Scanners...)
	}
	for _, d := range s.Catalog.Authenticators {
		authenticators = append(authenticators, d.Name)
	}
	for _, d := range s.Catalog.Routers {
		routers = append(routers, d.Name)
	}
	for _, d := range s.Catalog.Transports {
		name := d.Name
		if name == "appendfile" {
			name += "/maildir/mailstore"
		}
		transports = append(transports, name)
	}
	fmt.Fprintf(p.Stdout, "Exim version %s (exigo)\n", p.World.Version)
	fmt.Fprintf(p.Stdout, "Hints database: SQLite\n")
	for _, line := range []struct {
		head  string
		words []string
	}{
		{"Support for:", s.Catalog.Support()}, {"Lookups (built-in):", lookups}, {"Authenticators:", authenticators}, {"Routers:", routers},
		{"Transports:", transports}, {"Malware:", scanners},
	} {
		fmt.Fprintf(p.Stdout, "%s %s\n", line.head, strings.Join(line.words, " "))
	}
	fmt.Fprintf(p.Stdout, "Fixed never_users: 0\nConfigure owner: 0:0\nSize of off_t: 8\n")
	fmt.Fprintf(p.Stdout, "Configuration file search path is %s\nConfiguration file is %s\n", p.searchPath(), s.Config.Path)
	return nil
}

func (p *Program) searchPath() string {
	if p.Arguments.ConfigFile != "" {
		return p.Arguments.ConfigFile
	}
	return SearchPath
}

// dscpNames are the names that -bI:dscp lists (RFC 2474, 2597, 3246).
var dscpNames = []string{"af11", "af12", "af13", "af21", "af22", "af23", "af31", "af32", "af33", "af41", "af42", "af43", "cs0", "cs1", "cs2",
	"cs3", "cs4", "cs5", "cs6", "cs7", "ef", "lowcost", "lowdelay", "mincost", "reliability", "throughput"}

// info is -bI: lists for other programs.
func (p *Program) info() error {
	switch p.Arguments.Info {
	case "help":
		fmt.Fprint(p.Stdout, "The following -bI: options are supported:\n  dscp   list DSCP names\n  help   this text\n  sieve  list Sieve extensions\n")
	case "dscp":
		fmt.Fprintln(p.Stdout, strings.Join(dscpNames, "\n"))
	case "sieve":
		return exitf(1, "exim: option -bI:sieve is not supported yet")
	default:
		return usagef("exim abandoned: unknown, malformed, or incomplete option -bI:%s", p.Arguments.Info)
	}
	return nil
}
