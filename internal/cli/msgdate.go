package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"exigo/internal/config"
	"exigo/internal/outside"
	"exigo/internal/spool"
)

// dateTool is one call of exim_msgdate: it shows when message ids were made.
type dateTool struct {
	world                  *outside.World
	program                string
	out, errs              io.Writer
	unix, zulu, local, pid bool
	base                   int
	hostNumber             int // -1 where ids hold none
	configuration          []string
	ids                    []string
}

// dateUsage is what --help says.
const dateUsage = `Usage: %s [options] message-id...
  -u --unix               seconds since 1970
  -z --zulu --utc --gmt   date and time in UTC
  -l --local              date and time of the local time zone (the default)
  -p --pid                the number of the process too
  -b --base 36|62         the base of the ids: 62, but 36 on systems whose files' names have no case
  --localhost_number N    as in the configuration that made the ids
  -C FILE, -DMACRO=VALUE  the configuration, read for localhost_number
`

// runMsgdate is exim_msgdate.
func runMsgdate(program string, words []string, world *outside.World, out, errs io.Writer) int {
	t := &dateTool{world: world, program: program, out: out, errs: errs, base: 62, hostNumber: -1}
	err := t.parse(words)
	if err == nil {
		err = t.show()
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return 255
	}
	return 0
}

// parse reads the command line: options begin with one or two hyphens and may be shortened.
func (t *dateTool) parse(words []string) error {
	host := ""
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		name, value, attached := strings.Cut(strings.TrimPrefix(words[0][1:], "-"), "=")
		if letter := words[0][1]; letter == 'C' || letter == 'D' {
			t.configuration = append(t.configuration, words[0])
			if words[0] == "-C" && len(words) > 1 {
				t.configuration, words = append(t.configuration, words[1]), words[1:]
			}
			words = words[1:]
			continue
		}
		words = words[1:]
		flag, text := t.option(strings.ToLower(name))
		switch {
		case flag != nil:
			*flag = true
			continue
		case text == "base36" || text == "base62":
			t.base, _ = strconv.Atoi(text[4:])
			continue
		case text == "":
			return fmt.Errorf(strings.TrimSuffix("Unknown option: %s\n"+dateUsage, "\n"), name, t.program)
		}
		if !attached {
			if len(words) == 0 {
				return fmt.Errorf("Option %s requires an argument", name)
			}
			value, words = words[0], words[1:]
		}
		if text == "localhost_number" {
			host = value
		} else if t.base, _ = strconv.Atoi(value); t.base != 36 && t.base != 62 {
			return fmt.Errorf("unknown base option %s", value)
		}
	}
	t.ids = words
	if !t.unix && !t.zulu && !t.local {
		t.local = true
	}
	return t.host(host)
}

// option finds an option by a word that begins its name: a flag, or the name of one that takes more.
func (t *dateTool) option(word string) (flag *bool, name string) {
	if word == "" {
		return nil, ""
	}
	for _, o := range []struct {
		name string
		flag *bool
	}{
		{"local", &t.local}, {"unix", &t.unix}, {"zulu", &t.zulu}, {"utc", &t.zulu}, {"gmt", &t.zulu}, {"pid", &t.pid}, {"localhost_number", nil},
		{"base36", nil}, {"base62", nil}, {"base", nil},
	} {
		if word == "b" || word == "base" {
			return nil, "base"
		}
		if strings.HasPrefix(o.name, word) || word == "b36" && o.name == "base36" || word == "b62" && o.name == "base62" {
			return o.flag, o.name
		}
	}
	return nil, ""
}

// host settles localhost_number: what was given, or what the configuration says.
func (t *dateTool) host(given string) error {
	if given == "" {
		number, err := t.configured()
		if err != nil || number == "" {
			return err
		}
		given = number
	}
	n, err := strconv.Atoi(given)
	limit := 16
	if t.base == 36 && n <= limit {
		limit = 10
	}
	switch {
	case err != nil || n < 0:
		return errors.New("localhost_number must be a number >=0")
	case n > limit:
		return fmt.Errorf("localhost_number > %d", limit)
	}
	t.hostNumber = n
	return nil
}

// configured is localhost_number of the configuration, "" for none; a configuration that cannot be read sets none, unless it was named.
func (t *dateTool) configured() (string, error) {
	a, err := ParseArguments(t.program, t.configuration)
	if err != nil {
		return "", err
	}
	p := &Program{World: t.world, Arguments: a, Stdout: io.Discard, Stderr: io.Discard}
	err = p.load(context.Background())
	var mistake *config.Error
	switch {
	case err == nil && p.Server.Main.LocalhostID < 0:
		return "", nil
	case err == nil:
		return strconv.Itoa(p.Server.Main.LocalhostID), nil
	case errors.As(err, &mistake) && strings.Contains(mistake.Text, "localhost_number is greater"):
		return strconv.Itoa(1 << 20), nil
	case a.ConfigFile == "":
		return "", nil
	}
	return "", err
}

// show writes the times of all ids.
func (t *dateTool) show() error {
	for _, word := range t.ids {
		stamp, ok := spool.ParseStamp(strings.TrimPrefix(word, "E"))
		if !ok {
			if stamp, ok = spool.ParseStamp(word); !ok {
				fmt.Fprintf(t.errs, "%s not parsed\n", word)
				continue
			}
		}
		made, err := stamp.Decode(t.base, t.hostNumber >= 0)
		if err != nil {
			return err
		}
		if t.hostNumber >= 0 && stamp.Fraction != "" && made.Host != t.hostNumber {
			// The reference is a Perl script: its warnings name the place, and people look for the whole line.
			fmt.Fprintf(t.errs, "localhost %d from message-id != given number %d at %s line 421.\n", made.Host, t.hostNumber, t.program)
		}
		t.print(made, stamp.Process != "")
	}
	return nil
}

func (t *dateTool) print(made spool.Made, process bool) {
	tail := ""
	if t.pid && process {
		tail = "\tpid " + strconv.FormatInt(made.Process, 10)
	}
	micro := fmt.Sprintf("%06d", made.Time.Nanosecond()/1000)
	const layout = "2006-01-02 15:04:05."
	if t.unix {
		fmt.Fprintf(t.out, "%d.%s%s\n", made.Time.Unix(), micro, tail)
	}
	if t.zulu {
		fmt.Fprintf(t.out, "%s%s%s\n", made.Time.UTC().Format(layout), micro, tail)
	}
	if t.local {
		local := made.Time.In(time.Local)
		fmt.Fprintf(t.out, "%s%s %s%s\n", local.Format(layout), micro, local.Format("MST"), tail)
	}
}
