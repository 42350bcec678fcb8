package cli

import (
	"context"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"exigo/internal/option"
)

// inherited is a listening socket that inetd or its like handed over (-bw).
type inherited struct {
	net.Listener
	// patience is how long the daemon stays without work; 0 is for ever.
	patience time.Duration
	accepted chan struct{}
}

// wait is -bw: a daemon for the listening socket that is its standard input.
func (p *Program) wait(ctx context.Context) error {
	if !p.admin() {
		return exitf(1, "exim: permission denied")
	}
	var patience time.Duration
	if text := p.Arguments.InetdWait; text != "" && !setTime(&patience, text) {
		return usagef("exim: bad time value %s: abandoned", text)
	}
	l, err := net.FileListener(os.Stdin)
	if err != nil {
		return exitf(1, "exim: -bw needs a listening socket as standard input: %s", osReason(err))
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	in := &inherited{Listener: l, patience: patience, accepted: make(chan struct{}, 1)}
	d := &Daemon{Program: p, Server: p.Server, Arguments: p.Arguments, inherited: in}
	if patience > 0 {
		go d.retire(ctx, stop)
	}
	return d.Run(ctx)
}

// Accept implements net.Listener.
func (in *inherited) Accept() (net.Conn, error) {
	c, err := in.Listener.Accept()
	select {
	case in.accepted <- struct{}{}:
	default:
	}
	return c, err
}

// words says how long the daemon waits, for the log.
func (in *inherited) words() string {
	if in.patience > 0 {
		return "with " + option.FormatTime(in.patience) + " wait timeout"
	}
	return "with no wait timeout"
}

// retire ends the daemon when there was neither a new connection nor a session under way for as long as it waits.
func (d *Daemon) retire(ctx context.Context, end func()) {
	for {
		select {
		case <-d.inherited.accepted:
		case <-ctx.Done():
			return
		case <-d.Program.World.Clock.After(d.inherited.patience):
			if d.open.Load() == 0 {
				end()
				return
			}
		}
	}
}
