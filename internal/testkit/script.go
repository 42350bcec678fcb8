package testkit

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"exigo/internal/outside"

	"github.com/rogpeppe/go-internal/txtar"
)

// Environment is what a script gives to the function that starts a server.
type Environment struct {
	// Directory is the script's own: "spool", "log" and "mail" are in it. Configuration is the path of the configuration file.
	Directory, Configuration string
	World                    *Fake
}

// Instance is a started server.
type Instance struct {
	// Connect opens a connection to it as a client.
	Connect func() (net.Conn, error)
	// Settle returns when everything it has taken was delivered, deferred or refused.
	Settle func() error
	// Run runs a further command of the script, for instance "queue"; nil when there are none.
	Run func(words []string) error
	// Stop ends it and returns when its logs are written.
	Stop func()
}

// Starter starts a server with the configuration of the environment.
type Starter func(t testing.TB, e *Environment) *Instance

// RunScripts runs every file of the pattern as a script. A script is a txtar archive: its comment holds commands, one a line (# begins a comment); its files
// are
//
//	config            the configuration; $DIR stands for the script's directory
//	zone              zone text of the DNS
//	zone.failing      names for which, and for all below, the DNS fails for now
//	client.NAME       a dialogue (see Converse) of a client
//	server ADDRESS    a dialogue of a remote server; several connections are separated by lines of four stars
//	file NAME         a file in the script's directory
//	mainlog, rejectlog, paniclog, mail/NAME, msglog ...   what has to be there at the end; files not named are not compared, but a panic log
//	                  must be empty if it is not named. NAME may be a pattern: the files that match, one after the other
//
// Commands are "client NAME", "settle", "advance DURATION", and what Instance.Run knows; with no command all clients run in the order of the file, then settle.
// With update the expected files are rewritten instead of compared, and a client's lines "S: ?" become the replies that came. All else of a dialogue is
// still compared. Scripts may use conditions of the reader of the configuration, but no files of the machine.
func RunScripts(t *testing.T, pattern string, update bool, start Starter) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts match %s (%v)", pattern, err)
	}
	for _, f := range files {
		name := filepath.Base(filepath.Dir(f)) + "/" + strings.TrimSuffix(filepath.Base(f), ".txtar")
		t.Run(name, func(t *testing.T) { runScript(t, f, update, start) })
	}
}

// UpdateFlag declares the flag -update in the test binary's flags and returns its value's place.
func UpdateFlag(flags *flag.FlagSet) *bool {
	return flags.Bool("update", false, "rewrite the expected output of scripts")
}

type script struct {
	archive  *txtar.Archive
	env      *Environment
	instance *Instance
	servers  []<-chan error
	update   bool
}

func runScript(t *testing.T, path string, update bool, start Starter) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{archive: archive, env: &Environment{Directory: t.TempDir(), World: NewWorld(t)}, update: update}
	s.prepare(t)
	s.instance = start(t, s.env)
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			s.instance.Stop()
		}
	}
	defer stop()
	for _, c := range s.commands() {
		if err := s.command(c); err != nil {
			t.Errorf("%s: %v", strings.Join(c, " "), err)
			break
		}
	}
	stop()
	s.checkServers(t)
	s.compare(t, path, update)
}

// prepare writes the configuration, fills the DNS and starts the remote servers.
func (s *script) prepare(t *testing.T) {
	for _, d := range []string{"spool", "log", "mail"} {
		if err := os.Mkdir(filepath.Join(s.env.Directory, d), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range s.archive.Files {
		switch {
		case f.Name == "config":
			s.env.Configuration = filepath.Join(s.env.Directory, "config")
			text := bytes.ReplaceAll(f.Data, []byte("$DIR"), []byte(s.env.Directory))
			if err := os.WriteFile(s.env.Configuration, text, 0o600); err != nil {
				t.Fatal(err)
			}
		case f.Name == "zone":
			s.env.World.Zones.Add(string(f.Data))
		case f.Name == "zone.failing":
			for _, name := range strings.Fields(string(f.Data)) {
				s.env.World.Zones.Fail(name, outside.ErrTryAgain)
			}
		case strings.HasPrefix(f.Name, "file "):
			path := filepath.Join(s.env.Directory, strings.TrimPrefix(f.Name, "file "))
			text := bytes.ReplaceAll(f.Data, []byte("$DIR"), []byte(s.env.Directory))
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(f.Name, "server "):
			dialogues := strings.Split(string(f.Data), "****\n")
			address, done := NewScripted(t, dialogues...)
			s.env.World.Network.Map(strings.TrimPrefix(f.Name, "server "), address)
			for range dialogues {
				s.servers = append(s.servers, done)
			}
		}
	}
}

func (s *script) commands() [][]string {
	var out [][]string
	for _, line := range strings.Split(string(s.archive.Comment), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 0 {
			out = append(out, words)
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, f := range s.archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "client."); ok {
			out = append(out, []string{"client", name})
		}
	}
	return append(out, []string{"settle"})
}

func (s *script) command(words []string) error {
	switch {
	case words[0] == "settle":
		return s.instance.Settle()
	case words[0] == "advance" && len(words) == 2:
		d, err := time.ParseDuration(words[1])
		s.env.World.Clock.Advance(d)
		return err
	case words[0] == "client" && len(words) == 2:
		for i := range s.archive.Files {
			if f := &s.archive.Files[i]; f.Name == "client."+words[1] {
				return s.client(f)
			}
		}
		return fmt.Errorf("there is no file client.%s", words[1])
	case s.instance.Run != nil:
		return s.instance.Run(words)
	}
	return fmt.Errorf("unknown command")
}

func (s *script) client(f *txtar.File) error {
	conn, err := s.instance.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	if !s.update {
		return Converse(conn, Client, string(f.Data))
	}
	learnt, err := Record(conn, Client, string(f.Data))
	if err == nil {
		f.Data = []byte(learnt)
	}
	return err
}

func (s *script) checkServers(t *testing.T) {
	for _, done := range s.servers {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("remote server: %v", err)
			}
		case <-time.After(time.Second): // it may still read what was sent last
			t.Errorf("a remote server's dialogue was not played to its end")
		}
	}
}

// compare compares what is there with what is expected, or takes it over into the script.
func (s *script) compare(t *testing.T, path string, update bool) {
	hasPanic := false
	for i, f := range s.archive.Files {
		if !isExpectation(f.Name) {
			continue
		}
		hasPanic = hasPanic || f.Name == "paniclog"
		got := s.read(f.Name)
		if update {
			s.archive.Files[i].Data = []byte(got)
		} else if want := string(f.Data); got != want {
			t.Errorf("%s differs; got\n%s\nwant\n%s", f.Name, got, want)
		}
	}
	if text := s.read("paniclog"); !hasPanic && text != "" {
		t.Errorf("panic log:\n%s", text)
	}
	if update {
		if err := os.WriteFile(path, txtar.Format(s.archive), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func isExpectation(name string) bool {
	return strings.HasSuffix(name, "log") || strings.HasPrefix(name, "mail/")
}

// read returns a file of the script's directory with what changes from run to run taken out. "msglog" is all message logs.
func (s *script) read(name string) string {
	paths, _ := filepath.Glob(filepath.Join(s.env.Directory, name))
	if !strings.Contains(name, "/") {
		paths = []string{filepath.Join(s.env.Directory, "log", name)}
	}
	if name == "msglog" {
		paths, _ = filepath.Glob(filepath.Join(s.env.Directory, "spool", "msglog", "*"))
	}
	var b strings.Builder
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err == nil {
			b.Write(data)
		}
	}
	return Normalize(b.String(), s.env.Directory)
}

// Normalize replaces what differs between runs: message ids by ID1, ID2 ... in order of appearance, the directory by $DIR, ports of loopback
// clients, and the boundaries of reports.
func Normalize(text, directory string) string {
	text = strings.ReplaceAll(text, directory, "$DIR")
	ids := make(map[string]string)
	text = regexp.MustCompile(`\bE?[0-9A-Za-z]{6}-[0-9A-Za-z]{11}-[0-9A-Za-z]{4}\b`).ReplaceAllStringFunc(text, func(id string) string {
		before := id[:len(id)-23] // a Message-Id has an E
		id = id[len(before):]
		if ids[id] == "" {
			ids[id] = fmt.Sprintf("ID%d", len(ids)+1)
		}
		return before + ids[id]
	})
	text = regexp.MustCompile(`\b\d+-eximdsn-\d+\b`).ReplaceAllString(text, "BOUNDARY")
	return regexp.MustCompile(`\[127\.0\.0\.1\]:\d+`).ReplaceAllString(text, "[127.0.0.1]:PORT")
}
