package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"exigo/internal/hints"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/spool"
)

// utility is a program of chapter 54 that needs no configuration: what is called by its name runs it.
type utility struct {
	name, options string
	// reads says that it changes nothing.
	reads bool
	run   func(c *maintenance) error
}

// utilities are the programs that argv[0] may name.
var utilities = []utility{
	{"exim_dumpdb", "[-z] [-k]", true, (*maintenance).dump},
	{"exim_tidydb", "[-t <time>]", false, (*maintenance).tidy},
}

// tools are further programs that argv[0] may name; they read their own command lines.
var tools = map[string]func(program string, words []string, world *outside.World, out, errs io.Writer) int{
	"exim_dbmbuild": runDBMBuild, "exim_msgdate": runMsgdate, "exim_id_update": runIDUpdate, "exinext": runExinext,
}

// maintenance is one call of a program for the hints databases (spec 54.11).
type maintenance struct {
	world        *outside.World
	out          io.Writer
	utc, keys    bool
	age          time.Duration
	spool, table string
	db           *hints.DB
}

// defaultAge is how old records may be without -t (spec 54.13).
const defaultAge = 30 * 24 * time.Hour

// runUtility runs the program that path names, if it is one of utilities or tools.
func runUtility(path string, words []string, world *outside.World, out, errs io.Writer) (status int, done bool) {
	name := filepath.Base(path)
	if run := tools[name]; run != nil {
		return run(path, words, world, out, errs), true
	}
	if name == "exim_dumpdb" && len(words) == 2 && words[0] == "-L" {
		return dumpLookupFile(words[1], out, errs), true
	}
	for _, u := range utilities {
		if u.name != name {
			continue
		}
		c := &maintenance{world: world, out: out, age: defaultAge}
		if !c.parse(words) {
			fmt.Fprintf(out, "Usage: %s %s  <spool-directory> <database-name>\n"+
				"  <database-name> = retry | misc | wait-<transport-name> | callout | ratelimit | tls | seen\n", u.name, u.options)
			return 1, true
		}
		c.db = hints.New(hints.Options{SpoolDirectory: c.spool, Clock: world.Clock, UID: -1, GID: -1, ReadOnly: u.reads})
		defer c.db.Close()
		if err := u.run(c); err != nil {
			if text := err.Error(); text != "" {
				fmt.Fprintf(errs, "** %s\n", text)
			}
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// parse reads the command line; false asks for the usage.
func (c *maintenance) parse(words []string) bool {
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		switch words[0] {
		case "-z":
			c.utc = true
		case "-k":
			c.keys = true
		case "-t":
			age, ok := time.Duration(0), false
			if len(words) > 1 {
				age, ok = option.ParseTime(words[1])
			}
			if !ok {
				return false
			}
			c.age, words = age, words[1:]
		default:
			return false
		}
		words = words[1:]
	}
	if len(words) != 2 {
		return false
	}
	c.spool, c.table = words[0], words[1]
	return hints.Known(c.table)
}

// dump is exim_dumpdb.
func (c *maintenance) dump() error {
	if _, err := os.Stat(c.db.Path(c.table)); err != nil {
		reason := err
		var pathError *os.PathError
		if errors.As(err, &pathError) {
			reason = errors.New(osReason(pathError.Err))
		}
		fmt.Fprintf(c.out, "** Failed to open hintsdb %s/db/%s: %v\n", c.spool, c.table, reason)
		return &exitError{status: 1}
	}
	show := hints.Shower{Location: time.Local, KeysOnly: c.keys}
	if c.utc {
		show.Location = time.UTC
	}
	return hints.Dump(c.out, c.db, c.table, show)
}

// tidy is exim_tidydb.
func (c *maintenance) tidy() error {
	fmt.Fprintf(c.out, "Tidying Exim hints database %s/db/%s\n", c.spool, c.table)
	messages := spool.Open(c.spool, spool.Options{UID: -1, GID: -1})
	err := hints.Tidy(c.out, c.db, c.table, c.world.Clock.Now().Add(-c.age), func(id string) bool { return messages.Exists(id, "") })
	if err == nil {
		fmt.Fprintln(c.out, "Tidying complete")
	}
	return err
}

// runIDUpdate is exim_id_update: the messages of input directories get ids of the 23-character form (-u) or of the one of Exim up to 4.96
// (-d). No daemon may be at work.
func runIDUpdate(program string, words []string, _ *outside.World, out, errs io.Writer) int {
	rename := map[string]func(string) string{"-u": spool.LongID, "-d": spool.ShortID}
	if len(words) < 2 || rename[words[0]] == nil {
		fmt.Fprintf(out, "Usage: %s -u|-d <input-directory> ...\n  -u: ids of 23 characters; -d: ids of 16 characters\n", program)
		return 1
	}
	status := 0
	for _, dir := range words[1:] {
		if _, err := spool.Renumber(dir, rename[words[0]]); err != nil {
			fmt.Fprintf(errs, "%s: %v\n", dir, err)
			status = 1
		}
	}
	return status
}
