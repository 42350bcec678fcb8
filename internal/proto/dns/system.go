package dns

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// System is what resolv.conf(5) says.
type System struct {
	Servers  []netip.AddrPort
	Search   []string // the first is the default domain
	Ndots    int
	Attempts int
	Timeout  time.Duration
	Rotate   bool
}

// fileStamp tells whether a file has changed.
type fileStamp struct {
	modified time.Time
	size     int64
}

// recheck is how often the file is looked at.
const recheck = 5 * time.Second

// parameters returns what the file says now, and the options.
func (r *Resolver) parameters() (System, Options) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if len(r.system.Servers) > 0 && now.Sub(r.checked) < recheck && !now.Before(r.checked) {
		return r.system, r.options
	}
	r.checked = now
	var stamp fileStamp
	if st, err := os.Stat(r.path); err == nil {
		stamp = fileStamp{st.ModTime(), st.Size()}
	}
	if len(r.system.Servers) == 0 || stamp != r.stamp {
		r.stamp = stamp
		f, err := os.Open(r.path)
		if err != nil {
			r.system = ParseSystem(strings.NewReader(""))
		} else {
			r.system = ParseSystem(f)
			f.Close()
		}
	}
	return r.system, r.options
}

// The limits of resolv.conf(5).
const (
	maxServers = 3
	maxSearch  = 16
)

// ParseSystem reads the text of a resolv.conf file. What it does not say gets the system's defaults: the server on this host,
// two attempts of five seconds.
func ParseSystem(in io.Reader) System {
	s := System{Ndots: 1, Attempts: 2, Timeout: 5 * time.Second}
	lines := bufio.NewScanner(io.LimitReader(in, 1<<20))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(words[1]); err == nil && len(s.Servers) < maxServers {
				s.Servers = append(s.Servers, netip.AddrPortFrom(a, 53))
			}
		case "domain":
			s.Search = searchList(words[1:2])
		case "search":
			s.Search = searchList(words[1:])
		case "options":
			for _, o := range words[1:] {
				s.option(o)
			}
		}
	}
	if len(s.Servers) == 0 {
		s.Servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	}
	return s
}

func searchList(names []string) []string {
	var out []string
	for _, n := range names {
		if n = strings.Trim(strings.ToLower(n), "."); n != "" && len(out) < maxSearch {
			out = append(out, n)
		}
	}
	return out
}

func (s *System) option(text string) {
	name, value, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(value)
	switch {
	case name == "rotate":
		s.Rotate = true
	case err != nil:
	case name == "ndots":
		s.Ndots = max(0, min(n, 15))
	case name == "attempts":
		s.Attempts = max(1, min(n, 5))
	case name == "timeout":
		s.Timeout = time.Duration(max(1, min(n, 30))) * time.Second
	}
}
