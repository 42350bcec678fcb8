package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"exigo/internal/catalog"
	"exigo/internal/outside"
	"exigo/internal/submit"
)

// serveLocal serves calls of local users that come over the daemon's socket, and submissions that wait in the drop directory.
func (d *Daemon) serveLocal(ctx context.Context, l net.Listener) {
	d.sessions.Add(1)
	go func() {
		defer d.sessions.Done()
		d.watchDrops(ctx)
	}()
	server := &submit.SocketServer{Run: d.invoke, Max: 100, PerUser: 20, Open: 400, Panic: func(text string) { d.server().Log.Panicf("", "%s", text) }}
	if err := server.Serve(ctx, l); err != nil && ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
		d.server().Log.Panicf("", "local submissions: %v", err)
	}
}

// dropInterval is how often the daemon looks for submissions that were left while it did not answer.
const dropInterval = time.Minute

// watchDrops takes submissions from the drop directory, now and then again and again.
func (d *Daemon) watchDrops(ctx context.Context) {
	report := func(text string) { d.server().Log.Panicf("", "%s", text) }
	for {
		drops := filepath.Join(string(d.server().Main.SpoolDirectory), catalog.DropDirectory)
		if _, err := submit.ReadDrops(ctx, drops, d.invoke, report); err != nil && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
			report(fmt.Sprintf("drop directory: %v", err))
		}
		select {
		case <-d.Program.World.Clock.After(dropInterval):
		case <-ctx.Done():
			return
		}
	}
}

// remoteModes are the modes that a local user may have the daemon obey.
var remoteModes = map[Mode]bool{ModeSubmit: true, ModeSMTP: true, ModeBatch: true, ModeList: true, ModeMessage: true, ModeQueueRun: true}

// invoke obeys one call: the same code as in the caller's own process, with the daemon's configuration and rights, for the user that
// the kernel names.
func (d *Daemon) invoke(ctx context.Context, call *submit.Invocation) int {
	world := *d.Program.World
	world.Caller = outside.Caller{UID: call.Peer.UID, GID: call.Peer.GID, Groups: call.Peer.Groups, Effective: call.Peer.UID}
	p := &Program{World: &world, Stdin: call.Stdin, Stdout: call.Stdout, Stderr: call.Stderr, Server: d.server(), Remote: true}
	if len(call.Argv) == 0 {
		return 1
	}
	return p.Run(ctx, call.Argv)
}

// allowedRemotely refuses what a call over the socket must not ask for.
func (p *Program) allowedRemotely() error {
	a := p.Arguments
	switch {
	case !remoteModes[a.Mode], a.Queue.Interval > 0:
		return exitf(1, "exim: permission denied")
	case a.ConfigFile != "" || len(a.Macros) > 0 || a.NoDelivery:
		return exitf(1, "exim: permission denied: -C, -D and -N are not available while a daemon answers")
	}
	return nil
}

// passOn has the daemon obey the call when this process may not: it is an ordinary user's. done is false when the process is to go on
// by itself.
func (p *Program) passOn(argv []string, loadError error) (status int, done bool) {
	a := p.Arguments
	if p.Remote || !remoteModes[a.Mode] || a.ConfigFile != "" && loadError != nil {
		return 0, false
	}
	path := catalog.SystemSocket
	if loadError == nil {
		if p.ownsSpool() {
			return 0, false
		}
		if a.ConfigFile != "" {
			path = p.Server.SocketPath()
		}
	} else if !errors.Is(loadError, fs.ErrPermission) {
		return 0, false
	}
	status, err := submit.Remote(path, argv, p.Stdin, p.Stdout, p.Stderr)
	switch {
	case err == nil:
		return status, true
	case errors.Is(err, submit.ErrNoDaemon) && a.Mode == ModeSubmit:
		return p.drop(argv), true
	case errors.Is(err, submit.ErrNoDaemon):
		fmt.Fprintf(p.Stderr, "exim: no daemon is running (%s); ask the administrator to start exigo\n", path)
		return 1, true
	}
	fmt.Fprintf(p.Stderr, "exim: %v\n", err)
	return 1, true
}

// ownsSpool tells whether this process may work on the spool itself: as root, as the exim user, or because the spool is its own.
func (p *Program) ownsSpool() bool {
	uid := os.Geteuid()
	if uid == 0 || uid == p.Server.Identity.UID {
		return true
	}
	dir := string(p.Server.Main.SpoolDirectory)
	st, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		st, err = os.Stat(filepath.Dir(dir))
	}
	if err != nil {
		return false
	}
	return writable(st)
}

// spoolTrouble says why the caller may not work on the spool, and what would help.
func (p *Program) spoolTrouble() string {
	dir := string(p.Server.Main.SpoolDirectory)
	trouble := "spool directory " + dir + " is another user's"
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		trouble = "spool directory " + dir + " does not exist, and you may not make it"
	} else if err != nil {
		trouble = "spool directory " + dir + " cannot be reached"
	}
	return trouble + "; be root or " + string(p.Server.Main.EximUser) + ", or set spool_directory and log_file_path to places of your own"
}

// DropCommand is the setgid program that leaves a submission for the next daemon.
const DropCommand = "/usr/lib/exigo/exigo-drop"

// dropDirectories are tried when the configuration cannot be read.
var dropDirectories = []string{"/var/spool/exim4/drop", "/var/spool/exim/drop"}

// drop leaves the submission in the drop directory.
func (p *Program) drop(argv []string) int {
	dirs := dropDirectories
	if p.Server != nil {
		dirs = []string{filepath.Join(string(p.Server.Main.SpoolDirectory), catalog.DropDirectory)}
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			continue
		}
		cmd := exec.Command(DropCommand, append([]string{dir}, argv...)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Stdin, p.Stdout, p.Stderr
		if err := cmd.Run(); err == nil {
			return 0
		}
		break
	}
	fmt.Fprintf(p.Stderr, "exim: no daemon is running and the message could not be left for it with %s: message not sent\n", DropCommand)
	return 75 // EX_TEMPFAIL
}

// writable tells whether this process may write in a directory, by owner and mode.
func writable(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == os.Geteuid() && st.Mode().Perm()&0o200 != 0
}
