package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"exigo/internal/catalog"
	"exigo/internal/eventlog"
	"exigo/internal/option"
	"exigo/internal/queue"
	"exigo/internal/submit"
)

// daemon is -bd, -bdf: it listens, and starts queue runs at intervals.
func (p *Program) daemon(ctx context.Context) error {
	if !p.admin() {
		return exitf(1, "exim: permission denied: %s", p.spoolTrouble())
	}
	if p.Server.Main.MUAWrapper {
		return exitf(1, "exim: daemon cannot be run when mua_wrapper is set")
	}
	if err := p.Server.PrepareSpool(); err != nil {
		return exitf(1, "exim: failed to create directory: %s", err)
	}
	if err := p.Server.Log.Check(); err != nil {
		return exitf(1, "exim: %s", err)
	}
	if p.report == nil && p.Arguments.Sub != "f" && !p.Arguments.Debug && !p.Arguments.Verbose {
		return p.detach()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := &Daemon{Program: p, Server: p.Server, Arguments: p.Arguments}
	if p.report != nil {
		d.Ready = p.report.ready
	}
	return d.Run(ctx)
}

// Daemon is a listening server with its queue runs.
type Daemon struct {
	Program   *Program
	Server    *catalog.Server
	Arguments *Arguments
	// Ready, if set, is called when all sockets listen.
	Ready func()

	mu        sync.Mutex // guards Server, which SIGHUP replaces
	listeners []net.Listener
	sessions  sync.WaitGroup
	pidFile   string
	// pidCreated says that the process made the file that is to have its number.
	pidCreated bool
	// inherited is the socket of -bw; open counts sessions.
	inherited *inherited
	open      atomic.Int32
}

// Run serves until ctx ends, then waits a little for what is under way.
func (d *Daemon) Run(ctx context.Context) error {
	places, err := d.places()
	if err != nil {
		return d.fatal("%v", err)
	}
	if err := d.Server.PrepareSpool(); err != nil {
		return d.fatal("failed to create directory %s: %s", d.Server.Main.SpoolDirectory, osReason(err))
	}
	var pid *os.File
	if d.inherited == nil {
		if pid, err = d.openPIDFile(); err != nil {
			d.Server.Log.Panicf("", "%v", err)
		}
		defer d.forgetPIDFile(pid)
	}
	ports := make([]int, 0, len(places))
	for _, e := range places {
		ports = append(ports, e.port)
	}
	if err := d.Server.PrepareSocket(); err != nil {
		return d.fatal("%v", err)
	}
	d.Server.Delivery, d.Server.DontDeliver = d.Program.delivery(), d.Arguments.NoDelivery
	if err := d.Server.GiveUpRoot(ctx, ports); err != nil {
		return d.fatal("%v", err)
	}
	defer d.Server.Close()
	if err := d.Server.CheckSpool(); err != nil {
		return d.fatal("%v", err)
	}
	if err := d.Program.begin(ctx); err != nil {
		return d.fatal("%v", err)
	}
	if err := d.Server.Log.Check(); err != nil {
		return d.fatal("%v", err)
	}
	for _, e := range places {
		l, err := d.listen(ctx, e)
		if ctx.Err() != nil {
			return nil // ended while it waited for the port
		}
		if err != nil {
			if errors.Is(err, fs.ErrPermission) && e.port < 1024 && os.Geteuid() != 0 {
				defer fmt.Fprintf(d.Program.Stderr, "exim: ports below 1024 are for root: start the daemon as root, or give it others with -oX or daemon_smtp_ports\n")
			}
			return d.fatal("socket bind() to port %d for address %s failed: %v: daemon abandoned", e.port, addressText(e), osReason(err))
		}
		d.listeners = append(d.listeners, l)
		d.sessions.Add(1)
		go d.accept(ctx, l, e.tls)
	}
	if d.inherited != nil {
		d.listeners = append(d.listeners, d.inherited)
		d.sessions.Add(1)
		go d.accept(ctx, d.inherited, d.Arguments.TLSOnConnect)
	} else {
		d.openLocalSocket(ctx)
	}
	if pid != nil {
		d.writePIDFile(pid)
	}
	paceCollector(ctx)
	d.announce(places)
	if d.Ready != nil {
		d.Ready()
	}
	d.sessions.Add(1)
	go d.queueRuns(ctx)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-hup:
			d.reload(ctx)
			continue
		case <-ctx.Done():
		}
		break
	}
	d.shut()
	return nil
}

// places is where the daemon listens: nowhere if it was asked for queue runs only, or was handed its socket.
func (d *Daemon) places() ([]endpoint, error) {
	if d.Arguments.Mode == ModeQueueRun || d.inherited != nil {
		return nil, nil
	}
	return endpoints(d.server().Main, d.Arguments.Ports, d.Arguments.TLSOnConnect)
}

// fatal logs why the daemon cannot start and makes the error that ends the program.
func (d *Daemon) fatal(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	d.Server.Log.Panicf("", "%s", text)
	return exitf(1, "exim: %s", text)
}

func addressText(e endpoint) string {
	if e.address.IsUnspecified() {
		return "(any " + map[bool]string{true: "IPv4", false: "IPv6"}[e.address.Is4()] + ")"
	}
	return e.address.String()
}

// osReason is the system's part of a network error.
func osReason(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		text := errno.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}

// listen opens one socket. A port in use is tried again, as daemon_startup_retries says.
func (d *Daemon) listen(ctx context.Context, e endpoint) (net.Listener, error) {
	network := "tcp4"
	if e.address.Is6() {
		network = "tcp6"
	}
	main := d.Server.Main
	for try := 0; ; try++ {
		l, err := d.Server.Steward.Listen(ctx, network, e.String())
		if err == nil {
			setBacklog(l, main.SMTPConnectBacklog)
		}
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || try >= main.DaemonStartupRetries {
			return l, err
		}
		line := fmt.Sprintf("socket bind() to port %d for address %s failed: %s: waiting %s before trying again (%d more tries)", e.port,
			addressText(e), osReason(err), option.FormatTime(main.DaemonStartupSleep), main.DaemonStartupRetries-try)
		d.Server.Log.Mainf("", "%s", line)
		if d.Program.report != nil { // who started it waits, too
			fmt.Fprintf(d.Program.report, "exim: %s\n", line)
		}
		if err := d.Program.World.Clock.Sleep(ctx, main.DaemonStartupSleep); err != nil {
			return nil, err
		}
	}
}

// listening is the address of a socket: "[192.0.2.1]:25".
func listening(l net.Listener) string {
	a, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return l.Addr().String()
	}
	at := a.AddrPort()
	return "[" + at.Addr().Unmap().String() + "]:" + strconv.Itoa(int(at.Port()))
}

// accept serves the connections of one socket, each in a goroutine.
func (d *Daemon) accept(ctx context.Context, l net.Listener, onConnect bool) {
	defer d.sessions.Done()
	waiting := backlog(l)
	for {
		c, err := l.Accept()
		if limit := d.server().Main.SMTPBacklogMonitor; limit > 0 && waiting != nil {
			if n := waiting(); n > limit {
				d.Server.Log.Mainf("", "listen backlog %d I=%s", n, listening(l))
			}
		}
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors or memory: what is under way frees some.
			d.Server.Log.Panicf("", "accept() failed: %s", osReason(err))
			if d.Program.World.Clock.Sleep(ctx, 100*time.Millisecond) != nil {
				return
			}
			continue
		}
		tuneConnection(c, d.server().Main)
		d.sessions.Add(1)
		d.open.Add(1)
		go func() {
			defer d.sessions.Done()
			defer d.open.Add(-1)
			d.server().ServeSMTP(ctx, c, onConnect)
		}()
	}
}

// server is the configuration now in force; a session keeps the one it began with.
func (d *Daemon) server() *catalog.Server {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Server
}

// announce writes the start-up line.
func (d *Daemon) announce(places []endpoint) {
	runs := "no queue runs"
	if q := d.Arguments.Queue; q.Interval > 0 {
		runs = queueWords(q) + option.FormatTime(q.Interval)
	}
	where := "not listening for SMTP"
	if d.inherited != nil {
		runs, where = "launched with listening socket", d.inherited.words()
	}
	if len(places) > 0 {
		where = listeningText(places)
	}
	if m := d.Server.Main; where != "not listening for SMTP" && m.TLSAdvertiseHosts != "" && m.TLSCertificate == "" {
		d.Server.Log.Write(eventlog.Entry{To: eventlog.Main, Continued: true, Text: "Warning: No server certificate defined; will use a selfsigned one.\n" +
			" Suggested action: either install a certificate or change tls_advertise_hosts option"})
	}
	d.Server.Log.Mainf("", "exim %s daemon started: pid=%d, %s, %s", d.Program.World.Version, d.Program.World.PID, runs, where)
}

// queueWords writes the options of a queue run as the log shows them: "-qqf", "-qGname/".
func queueWords(q QueueRun) string {
	var b strings.Builder
	b.WriteString("-q")
	for _, f := range []struct {
		on   bool
		text string
	}{{q.TwoStage, "q"}, {q.Initial, "i"}, {q.Force, "f"}, {q.ForceFrozen, "f"}, {q.Local, "l"}} {
		if f.on {
			b.WriteString(f.text)
		}
	}
	if q.Name != "" {
		b.WriteString("G" + q.Name)
		if q.Interval > 0 {
			b.WriteString("/")
		}
	}
	return b.String()
}

// queueRuns starts a queue run now and at every interval. Runs may overlap, up to queue_run_max.
func (d *Daemon) queueRuns(ctx context.Context) {
	defer d.sessions.Done()
	q := d.Arguments.Queue
	if q.Interval <= 0 {
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	limit := make(chan struct{}, d.Server.QueueRunMax())
	for {
		select {
		case limit <- struct{}{}:
			running.Add(1)
			go func() {
				defer running.Done()
				defer func() { <-limit }()
				d.server().RunQueue(ctx, queueSelection(q))
			}()
		default:
		}
		select {
		case <-d.Program.World.Clock.After(q.Interval):
		case <-ctx.Done():
			return
		}
	}
}

func queueSelection(q QueueRun) queue.Selection {
	words := q
	words.Name = "" // it is said in words
	return queue.Selection{Words: queueWords(words), TwoStage: q.TwoStage, Initial: q.Initial, Force: q.Force, ForceFrozen: q.ForceFrozen, Local: q.Local,
		Queue: q.Name, Start: q.Start, End: q.End, Recipient: q.Recipient, Sender: q.Sender, RecipientRegexp: q.RecipientRegexp,
		SenderRegexp: q.SenderRegexp}
}

// reload reads the configuration again (SIGHUP). A mistake in it leaves the old one in force.
func (d *Daemon) reload(ctx context.Context) {
	old := d.server()
	old.Log.Mainf("", "pid %d: SIGHUP received: re-exec daemon", d.Program.World.PID)
	old.Log.Reopen()
	fresh, err := old.Reload(ctx)
	if err != nil {
		old.Log.Write(eventlog.Entry{To: eventlog.Main | eventlog.Panic, Text: err.Error(), Continued: true})
		return
	}
	if err := fresh.Begin(ctx, d.Arguments.Perl); err != nil {
		fresh.Log.Panicf("", "%v", err)
	}
	d.mu.Lock()
	d.Server = fresh
	d.mu.Unlock()
	if places, err := d.places(); err == nil {
		d.announce(places)
	}
}

// shut ends the daemon: no new connections; sessions end when their clients' commands are answered, and deliveries under way when they are done.
func (d *Daemon) shut() {
	for _, l := range d.listeners {
		l.Close()
	}
	if d.pidFile != "" {
		if text, err := os.ReadFile(d.pidFile); err == nil && string(text) == d.pidLine() { // not another daemon's
			os.Remove(d.pidFile)
		}
	}
	ctx, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	done := make(chan struct{})
	go func() {
		d.sessions.Wait()
		d.server().Index.Close(ctx)
		close(done)
	}()
	select {
	case <-done:
	case <-d.Program.World.Clock.After(shutdownPatience):
	}
}

// shutdownPatience is how long sessions and deliveries under way may take to end.
const shutdownPatience = 3 * time.Second

// openPIDFile opens the file that will have the daemon's number, while the process may; nil for none. It is not truncated before the daemon listens, since a
// daemon that finds its port taken must leave the other's number alone. The file's directory may be the mail user's: links are not followed.
func (d *Daemon) openPIDFile() (*os.File, error) {
	path := d.Arguments.PIDFile
	if path == "" && d.Arguments.Ports != "" && !d.Program.World.Quirks.On {
		return nil, nil
	}
	if path == "" {
		path = d.Server.PIDFilePath()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("failed to create pid file directory: %w", err)
	}
	_, missing := os.Lstat(path)
	d.pidCreated = errors.Is(missing, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, fmt.Errorf("failed to open pid file %s: %s", path, osReason(err))
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG || st.Nlink != 1 {
		f.Close()
		return nil, fmt.Errorf("failed to open pid file %s: not a regular file with one name", path)
	}
	return f, nil
}

// forgetPIDFile closes the file of a daemon that could not start, and removes it if there was none before.
func (d *Daemon) forgetPIDFile(f *os.File) {
	if f == nil || d.pidFile != "" || f.Close() != nil { // closed when it was written
		return
	}
	if d.pidCreated {
		os.Remove(f.Name())
	}
}

// writePIDFile writes the daemon's number.
func (d *Daemon) writePIDFile(f *os.File) {
	err := f.Truncate(0)
	if err == nil {
		_, err = f.WriteString(d.pidLine())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		d.Server.Log.Panicf("", "failed to write pid file %s: %s", f.Name(), osReason(err))
		return
	}
	d.pidFile = f.Name()
}

func (d *Daemon) pidLine() string { return strconv.Itoa(d.Program.World.PID) + "\n" }

// openLocalSocket takes calls of local users. While another daemon has the socket of the spool this one waits for its end.
func (d *Daemon) openLocalSocket(ctx context.Context) {
	l, err := d.Server.ListenLocal()
	switch {
	case errors.Is(err, submit.ErrOtherDaemon):
		d.Server.Log.Mainf("", "calls of local users go to another daemon (%s): this one takes them when that ends", d.Server.SocketPath())
	case err != nil:
		d.Server.Log.Panicf("", "failed to listen for local submissions: %v: trying again every %s", err, option.FormatTime(socketInterval))
	}
	d.sessions.Add(1)
	go func() {
		defer d.sessions.Done()
		for err != nil {
			if d.Program.World.Clock.Sleep(ctx, socketInterval) != nil {
				return
			}
			if l, err = d.server().ListenLocal(); err == nil {
				d.server().Log.Mainf("", "calls of local users are taken from now on (%s)", d.server().SocketPath())
			}
		}
		d.serveLocal(ctx, l)
	}()
}

// socketInterval is how often a daemon tries to get the socket for local users.
const socketInterval = 10 * time.Second
