package route_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/lookup/lsearch"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/route"
	"exigo/internal/route/accept"
	"exigo/internal/route/dnslookup"
	"exigo/internal/route/ipliteral"
	"exigo/internal/route/iplookup"
	"exigo/internal/route/manualroute"
	"exigo/internal/route/queryprogram"
	"exigo/internal/route/redirect"
	"exigo/internal/testkit"
)

// The scripts in testdata hold configurations, commands behind "$ ", and what Exim 4.96 answers to them; commands marked
// "# ours" have an answer of our own. $DIR is a directory with the files of newDirectory.

const preamble = `primary_hostname = myhost.test.ex
qualify_domain = test.ex
keep_environment =
`

const transports = `begin transports
t1:
  driver = appendfile
t2:
  driver = smtp
t3:
  driver = pipe
`

var drivers = []*route.Driver{
	accept.Driver(), dnslookup.Driver(), ipliteral.Driver(), iplookup.Driver(), manualroute.Driver(), queryprogram.Driver(), redirect.Driver(),
}

// fixture is a compiled configuration in a fake world.
type fixture struct {
	world  *testkit.Fake
	config *config.Config
	engine *expand.Engine
	routes *route.Engine
	log    bytes.Buffer
	traced bool
}

func newFixture(t testing.TB, text string) (*fixture, error) {
	t.Helper()
	f := &fixture{world: testkit.NewWorld(t)}
	zone, err := os.ReadFile("testdata/zone.txt")
	if err != nil {
		t.Fatal(err)
	}
	f.world.Zones.Add(string(zone)).Fail("test.again.dns", outside.ErrTryAgain).Fail("test.fail.dns", outside.ErrRefused)
	f.world.Interfaces = func() ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("172.18.55.66")}, nil
	}
	registry := &config.Registry{Sets: []option.Set{config.MainOptions(), route.GenericOptions()}}
	for _, d := range drivers {
		var sets []option.Set
		if d.Options != nil {
			sets = []option.Set{d.Options}
		}
		registry.Drivers = append(registry.Drivers, config.Driver{Kind: config.Router, Name: d.Name, Options: sets})
	}
	for _, name := range []string{"appendfile", "smtp", "pipe"} {
		registry.Drivers = append(registry.Drivers, config.Driver{Kind: config.Transport, Name: name})
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if f.config, err = config.Read(config.Request{Path: path, Registry: registry, World: f.world.World, SkipChecks: true}); err != nil {
		return f, err
	}
	words := builtin.Words()
	words.Lookups = append(words.Lookups, lsearch.Drivers()...)
	if f.engine, err = expand.New(f.world.World, words, expand.Hooks{Panic: func(_, line string) { fmt.Fprintf(&f.log, "LOG: MAIN PANIC\n  %s\n", line) }}); err != nil {
		t.Fatal(err)
	}
	f.routes, err = route.Compile(f.config.Routers, drivers, f.services())
	var mistake *route.ConfigError
	if errors.As(err, &mistake) {
		err = &config.Error{For: mistake.For, Text: mistake.Text}
	}
	return f, err
}

func (f *fixture) services() route.Services {
	return route.Services{
		Log:   func(_ *expand.Scope, line string) { fmt.Fprintf(&f.log, "LOG: MAIN\n  %s\n", line) },
		Panic: func(_ *expand.Scope, line string) { fmt.Fprintf(&f.log, "LOG: MAIN PANIC\n  %s\n", line) },
		Debug: func(line string) { f.log.WriteString(line) },
		Trace: func(line string) {
			if f.traced {
				f.log.WriteString(line + "\n")
			}
		},
		Transport: func(name string) (route.TransportInfo, bool) {
			i := f.config.Find(config.Transport, name)
			if i == nil {
				return route.TransportInfo{}, false
			}
			return route.TransportInfo{Name: name, Local: i.Driver != "smtp", SMTP: i.Driver == "smtp"}, true
		},
	}
}

func (f *fixture) scope(sender string) *expand.Scope {
	m := &mail.Message{Sender: sender, SenderSet: true, Session: &mail.Session{}}
	return f.engine.NewScope(context.Background(), f.config, m.Session, m)
}

// run obeys one command as the exim program would and returns the log, the output and "rc N".
func (f *fixture) run(t testing.TB, command string) string {
	t.Helper()
	o := route.TestOptions{Reasons: true}
	var addresses []string
	for _, w := range strings.Fields(command) {
		w = strings.Trim(w, "'")
		switch w {
		case "-bt":
		case "-d+route":
			f.traced = true
		case "-bv":
			o.Verify = true
		case "-bvs":
			o.Verify, o.Sender = true, true
		case "-v":
			o.Full = true
		default:
			addresses = append(addresses, w)
		}
	}
	f.log.Reset()
	defer func() { f.traced = false }()
	var out bytes.Buffer
	tester := route.Tester{Engine: f.routes, Out: &out, Options: o}
	code := 0
	for _, a := range addresses {
		code = max(code, tester.Test(context.Background(), f.scope("root@test.ex"), strings.ReplaceAll(a, "_SPACE_", " ")))
	}
	return fmt.Sprintf("%s%src %d\n", f.log.String(), out.String(), code)
}

// newDirectory makes the files that the scripts refer to.
func newDirectory(t testing.TB) string {
	dir := t.TempDir()
	files := map[string]string{
		"file": "data\n", "secret": "s\n", "inc/one": "x@y\n", "bad": "bad bad, \"zz, x@y\n @a\n# c\nu@v",
		"filter": "#Exim filter\nfinish", "sieve": "# Sieve filter\nfinish", "big": strings.Repeat("a", 1100000),
		"routes": "d.faa: ten-5.test.ex\n*.e.faa: ten-6.test.ex\n",
	}
	files["inc/bad"] = files["bad"]
	for _, name := range []string{"aliases", "list"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = strings.ReplaceAll(string(data), "$DIR", dir)
	}
	if err := os.Mkdir(dir+"/inc", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		mode := os.FileMode(0o644)
		if name == "secret" {
			mode = 0o600
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o755) // nobody must be able to pass
	}
	return dir
}

func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := newDirectory(t)
	for _, path := range scripts {
		if strings.HasSuffix(path, "zone.txt") {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(data), "\n===\n") {
			t.Run(fmt.Sprintf("%s/%d", strings.TrimSuffix(filepath.Base(path), ".txt"), i+1), func(t *testing.T) { runBlock(t, dir, block) })
		}
	}
}

// runBlock runs the commands that stand behind one configuration.
func runBlock(t *testing.T, dir, block string) {
	parts := strings.Split("\n"+strings.TrimRight(block, "\n")+"\n", "\n$ ")
	main, routers, _ := strings.Cut(parts[0], "begin routers")
	text := preamble + main + "\nbegin routers" + routers + "\n" + transports
	f, err := newFixture(t, strings.ReplaceAll(text, "$DIR", dir))
	for _, part := range parts[1:] {
		command, want, _ := strings.Cut(strings.TrimRight(part, "\n"), "\n")
		command, _, _ = strings.Cut(command, " # ours")
		command = strings.ReplaceAll(command, "'a b'", "a_SPACE_b")
		got := fmt.Sprintf("%v\nrc 1\n", err)
		if err == nil {
			got = f.run(t, command)
		}
		got = strings.TrimRight(strings.ReplaceAll(got, dir, "$DIR"), "\n")
		if got != want {
			t.Errorf("$ %s\n--- got\n%s\n--- want\n%s", command, got, want)
		}
	}
}
