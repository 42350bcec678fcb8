package spam

import (
	"strconv"
	"strings"
	"time"

	"exigo/internal/expand"
	"exigo/internal/option"
	"exigo/internal/scan"
)

const (
	maxServers     = 32
	defaultTimeout = 2 * time.Minute
	maxWeight      = 1 << 20
)

// server is an item of spamd_address.
type server struct {
	address scan.Server
	// problem says that the address is none that can be connected to.
	problem          error
	priority, weight int
	// from and to are seconds of the day between which it is used; both 0: always.
	from, to int
	timeout  time.Duration
	rspamd   bool
	failed   bool
}

// readServers reads spamd_address. What is wrong in it is left out with a warning.
func readServers(text string, warn func(string)) (out []*server) {
	items := expand.NewElements(text)
	for {
		item, ok := items.Next()
		if !ok {
			return out
		}
		if item == "" {
			continue
		}
		if len(out) == maxServers {
			warn("warning - more than " + strconv.Itoa(maxServers) + " spamd servers; the others are not used")
			return out
		}
		if d := readServer(item, warn); d != nil {
			out = append(out, d)
		}
	}
}

// words splits an item at spaces, or at the separator that it begins with.
func words(item string) (out []string) {
	if !strings.HasPrefix(item, "<") {
		return strings.Fields(item)
	}
	list := expand.NewElements(item)
	for {
		word, ok := list.Next()
		if !ok {
			return out
		}
		if word != "" {
			out = append(out, word)
		}
	}
}

func readServer(item string, warn func(string)) *server {
	list := words(item)
	d := &server{priority: 1, weight: 1, timeout: defaultTimeout}
	switch {
	case len(list) == 0:
		return nil
	case strings.HasPrefix(list[0], "/"):
		d.address, list = scan.Server{Path: list[0]}, list[1:]
	case len(list) == 1:
		warn("warning - invalid spamd address: '" + item + "'")
		return nil
	default:
		d.address, d.problem = scan.ParseServer(list[0] + " " + list[1])
		list = list[2:]
	}
	for _, word := range list {
		if problem := d.parameter(word); problem != "" {
			warn("warning - invalid spamd " + problem)
		}
	}
	return d
}

// parameter obeys name=value; problem says what is wrong with it.
func (d *server) parameter(word string) (problem string) {
	name, value, _ := strings.Cut(word, "=")
	ok := false
	switch name {
	case "pri":
		d.priority, ok = number(value, d.priority)
	case "weight":
		d.weight, ok = number(value, d.weight)
	case "variant":
		ok = value == "rspamd"
		d.rspamd = d.rspamd || ok
	case "time":
		start, end, _ := strings.Cut(value, "-")
		from, ok1 := timeOfDay(start)
		to, ok2 := timeOfDay(end)
		if !ok1 || !ok2 {
			return "time value: '" + value + "'"
		}
		d.from, d.to, ok = from, to, true
	case "retry":
		t, good := option.ParseTime(value)
		if !good {
			return "retry value: '" + value + "'"
		}
		d.address.Retry, ok = t, true
	case "tmo":
		t, good := option.ParseTime(value)
		if !good || t <= 0 {
			return "timeout value: '" + value + "'"
		}
		d.timeout, ok = t, true
	}
	if !ok {
		return "parameter: '" + word + "'"
	}
	return ""
}

func number(text string, fallback int) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n > maxWeight {
		return fallback, false
	}
	return int(n), true
}

// timeOfDay reads hour[.minute[.second]] and returns seconds.
func timeOfDay(text string) (int, bool) {
	total := 0
	parts := strings.Split(text, ".")
	if len(parts) > 3 {
		return 0, false
	}
	for i, limit := range []int{24, 59, 59} {
		total *= 60
		if i >= len(parts) {
			continue
		}
		n, err := strconv.ParseUint(parts[i], 10, 8)
		if err != nil || int(n) > limit {
			return 0, false
		}
		total += int(n)
	}
	return total, true
}

// open tells whether the server is used at this time of day. A span may go past midnight.
func (d *server) open(now time.Time) bool {
	if d.from == d.to {
		return true
	}
	at := now.Hour()*3600 + now.Minute()*60 + now.Second()
	if d.from < d.to {
		return at >= d.from && at <= d.to
	}
	return at >= d.from || at <= d.to
}

// choose takes a server of the highest priority among those that are left, at random by weight; nil: there is none.
func choose(servers []*server, now time.Time, random func(n int) int) *server {
	var best []*server
	total := 0
	for _, d := range servers {
		switch {
		case d.failed || !d.open(now):
			continue
		case len(best) > 0 && d.priority < best[0].priority:
			continue
		case len(best) > 0 && d.priority > best[0].priority:
			best, total = nil, 0
		}
		best = append(best, d)
		total += d.weight
	}
	switch {
	case len(best) == 0:
		return nil
	case len(best) == 1:
		return best[0]
	case total == 0:
		return best[random(len(best))]
	}
	at := random(total)
	for _, d := range best {
		if at -= d.weight; at < 0 {
			return d
		}
	}
	return best[len(best)-1]
}
