package cli

import (
	"context"
	"net"
)

// serveLocal serves submissions of local users that come over the daemon's socket.
func (d *Daemon) serveLocal(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		d.sessions.Add(1)
		go func() {
			defer d.sessions.Done()
			defer c.Close()
			d.server().ServeLocal(ctx, c)
		}()
	}
}
