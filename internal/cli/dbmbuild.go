package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"exigo/internal/lookup"
	"exigo/internal/outside"
	"exigo/internal/proto/berkeleydb"
)

// Limits of exim_dbmbuild's input, in bytes: of a line with its end, and of an entry with its continuation lines.
const (
	dbmLine  = 20000
	dbmEntry = 100000
)

// dbmBuild is one call of exim_dbmbuild (spec 54.9): a file in the format of lsearch becomes a DBM file.
type dbmBuild struct {
	out, errs                                     io.Writer
	keepCase, noZero, lastDup, noDupError, noWarn bool
	source, target                                string
	pairs                                         []berkeleydb.Pair
	places                                        map[string]int // of keys in pairs
	duplicates                                    int
}

// dbmOptions are the options of exim_dbmbuild.
var dbmOptions = map[string]func(b *dbmBuild) *bool{
	"-nolc": func(b *dbmBuild) *bool { return &b.keepCase }, "-nozero": func(b *dbmBuild) *bool { return &b.noZero },
	"-lastdup": func(b *dbmBuild) *bool { return &b.lastDup }, "-noduperr": func(b *dbmBuild) *bool { return &b.noDupError },
	"-nowarn": func(b *dbmBuild) *bool { return &b.noWarn },
}

// errAbandoned stands for an error that has been told.
var errAbandoned = errors.New("dbmbuild abandoned")

func runDBMBuild(program string, words []string, _ *outside.World, out, errs io.Writer) int {
	b := dbmBuild{out: out, errs: errs, places: map[string]int{}}
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		option := dbmOptions[words[0]]
		if option == nil {
			break
		}
		*option(&b), words = true, words[1:]
	}
	if len(words) != 2 {
		fmt.Fprintf(out, "usage: exim_dbmbuild [-nolc] [-nozero] [-lastdup] [-noduperr] [-nowarn] <source file> <dbm base name>\n")
		return 1
	}
	b.source, b.target = words[0], words[1]
	switch err := b.run(); {
	case errors.Is(err, errAbandoned):
		fmt.Fprintln(out, err)
		return 2
	case err != nil:
		fmt.Fprintf(out, "exim_dbmbuild: %v\n", err)
		return 1
	case b.duplicates > 0 && !b.noDupError:
		return 1
	}
	return 0
}

// run reads, writes under a temporary name, and renames.
func (b *dbmBuild) run() error {
	input := io.Reader(os.Stdin)
	if b.source == b.target {
		return errors.New("input and output filenames are the same")
	}
	if b.source != "-" {
		file, err := os.Open(b.source)
		if err != nil {
			return fmt.Errorf("unable to open %s: %s", b.source, lookup.SystemText(err))
		}
		defer file.Close()
		input = file
	}
	temporary := b.target + ".dbmbuild_temp"
	file, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("unable to create %s: %s", temporary, lookup.SystemText(err))
	}
	err = b.read(input)
	if err == nil {
		err = berkeleydb.WriteHash(file, b.pairs)
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		fmt.Fprintf(b.out, "%s written\n", counted(len(b.pairs), "entry", "entries"))
		if b.duplicates > 0 {
			fmt.Fprintf(b.out, "%s\n", counted(b.duplicates, "duplicate key ", "duplicate keys "))
		}
		if os.Rename(temporary, b.target) == nil {
			return nil
		}
		err = fmt.Errorf("Unable to rename %s as %s", temporary, b.target)
	}
	os.Remove(temporary)
	return err
}

func counted(n int, one, many string) string {
	if n != 1 {
		one = many
	}
	return fmt.Sprintf("%d %s", n, one)
}

// read collects the entries of the input.
func (b *dbmBuild) read(input io.Reader) error {
	var text strings.Builder
	lines, begun := bufio.NewReaderSize(input, dbmLine), false
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case len(line) >= dbmLine || errors.Is(err, bufio.ErrBufferFull):
			fmt.Fprintf(b.out, "Overlong line read: max permitted length is %d\n", dbmLine-1)
			return errAbandoned
		case err != nil && err != io.EOF:
			return fmt.Errorf("%s: %s", b.source, lookup.SystemText(err))
		case !begun && len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && strings.TrimSpace(string(line)) != "":
			fmt.Fprintf(b.out, "Unexpected continuation line ignored\n%s\n", line)
		default:
			begun = begun || len(line) > 0 && line[0] != '#' && line[0] != '\n'
			text.Write(line)
		}
		if err == io.EOF {
			break
		}
	}
	var err error
	lookup.ParseLines(text.String()).Each(func(e lookup.LineEntry) bool {
		if len(e.Full()) >= dbmEntry-1 {
			fmt.Fprintf(b.out, "Continued set of lines is too long: max permitted length is %d\n", dbmEntry-1)
			err = errAbandoned
			return false
		}
		b.add(e.Key, e.Data())
		return true
	})
	return err
}

// add takes an entry; of several with one key the first counts, or the last.
func (b *dbmBuild) add(key, data string) {
	shown := key
	if !b.keepCase {
		key = strings.Map(func(r rune) rune {
			if r >= 'A' && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}, key)
		shown = key
	}
	if !b.noZero {
		key += "\x00"
		data += "\x00"
	}
	at, there := b.places[key]
	if !there {
		b.places[key] = len(b.pairs)
		b.pairs = append(b.pairs, berkeleydb.Pair{Key: []byte(key), Value: []byte(data)})
		return
	}
	b.duplicates++
	if !b.noWarn {
		fmt.Fprintf(b.errs, "** Duplicate key \"%s\"\n", shown)
	}
	if b.lastDup {
		b.pairs[at].Value = []byte(data)
	}
}

// dumpLookupFile is exim_dumpdb -L: the keys and values of a DBM file that lookups use, one pair a line.
func dumpLookupFile(path string, out, errs io.Writer) int {
	db, err := berkeleydb.Open(path)
	if err == nil {
		defer db.Close()
		w := bufio.NewWriter(out)
		err = db.Each(func(key, value func() ([]byte, error)) (bool, error) {
			k, err := key()
			if err != nil {
				return false, err
			}
			v, err := value()
			fmt.Fprintf(w, "%s\t%s\n", printed(k), printed(v))
			return true, err
		})
		if flushed := w.Flush(); err == nil {
			err = flushed
		}
	}
	if err != nil {
		fmt.Fprintf(errs, "** Failed to open DBM file %s: %s\n", path, lookup.SystemText(err))
		return 1
	}
	return 0
}

// printed makes text of a database fit for a line: without the zero at its end.
func printed(text []byte) string { return shown(strings.TrimSuffix(string(text), "\x00")) }
