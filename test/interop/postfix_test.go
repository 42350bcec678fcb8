package interop

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"exigo/test/blackbox"
)

// postfixTool is a command of Postfix: installed, or of a package that was only unpacked to the folder that POSTFIX_ROOT names.
func postfixTool(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	root := os.Getenv("POSTFIX_ROOT")
	path := filepath.Join(root, "usr/sbin", name)
	if _, err := os.Stat(path); err != nil {
		t.Skip(name + " of Postfix is not here: set POSTFIX_ROOT to an unpacked package")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*blackbox.Patience)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, path, args...)
	c.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(root, "usr/lib/postfix"))
	c.WaitDelay = time.Second
	return c
}

// TestPostfixTools takes mail from Postfix's smtp-source into a mailbox and a maildir, and gives mail to its smtp-sink.
func TestPostfixTools(t *testing.T) {
	tools(t)
	const messages = 30
	w := &world{T: t, place: blackbox.New(t)}
	for _, name := range []string{"log", "mail", "spool"} {
		w.place.Folder(name)
	}
	w.port, w.eximPort, w.otherPort = w.place.Port(), w.place.Port(), w.place.Port()
	w.sender = w.configure("sender.test", "spool", w.port, routes)
	w.place.Start(w.sender, w.port)

	for _, to := range []string{"mbox@sender.test", "maildir@sender.test"} {
		source := postfixTool(t, "smtp-source", "-s", "5", "-l", "4096", "-m", strconv.Itoa(messages), "-f", "source@sender.test", "-t", to, "127.0.0.1:"+w.port)
		if out, err := source.CombinedOutput(); err != nil {
			t.Fatalf("smtp-source: %v\n%s", err, out)
		}
	}
	w.place.Wait("all messages", func() bool {
		return strings.Count(w.box("sender.test"), "Return-path: <source@sender.test>\n") == 2*messages
	})

	sink := postfixTool(t, "smtp-sink", "-u", "nobody", "-c", "-d", w.place.Folder("sink")+"/%s.", "127.0.0.1:"+w.eximPort, "50")
	if err := sink.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Process.Kill(); sink.Wait() })
	w.place.Wait("smtp-sink to listen", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+w.eximPort)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	w.send(t, "for the sink", "one@exim.relay", "two@exim.relay")
	w.place.Wait("the delivery", func() bool { return strings.Contains(w.place.Read("log/sender.test-main"), "-> two@exim.relay ") })
	text := ""
	files, _ := filepath.Glob(w.place.Path("sink/*"))
	for _, file := range files {
		b, _ := os.ReadFile(file)
		text += string(b)
	}
	has(t, "what smtp-sink wrote", text, "Subject: for the sink", "From the end", "one@exim.relay", "two@exim.relay")
}
