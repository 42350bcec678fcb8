package builtin

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"exigo/internal/expand"
	"exigo/internal/proto/radius"
)

// Where the services are, as distributions build Exim and the daemons.
const (
	saslauthdSocket = "/var/run/saslauthd/mux"
	pwcheckSocket   = "/var/pwcheck/pwcheck"
)

// radiusFiles are the places of the client's configuration; the first that is there counts.
var radiusFiles = [...]string{"/etc/radiusclient/radiusclient.conf", "/etc/radcli/radiusclient.conf", "/etc/radiusclient-ng/radiusclient.conf"}

// serviceTimeout bounds a question to a local daemon.
const serviceTimeout = 30 * time.Second

// serviceConditions ask services that know passwords.
func serviceConditions() []expand.Condition {
	return []expand.Condition{
		{
			Name: "saslauthd", Doc: "True if the daemon saslauthd accepts user and password.", Min: 2, Max: 4, Wrapped: true,
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) {
				return askSaslauthd(s, saslauthdSocket, texts(args))
			},
			Examples: []expand.Example{{In: `${if saslauthd{{a}}}`, Err: "too few arguments or bracketing error for saslauthd"}},
		},
		{
			Name: "pwcheck", Doc: "True if the daemon pwcheck accepts user:password.", Min: 1, Max: 1,
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) {
				return askPwcheck(s, pwcheckSocket, args[0].S)
			},
			Examples: []expand.Example{{In: `${if pwcheck{a}{y}{n}}`, Out: "n"}},
		},
		{
			Name: "radius", Doc: "True if a RADIUS server accepts user:password.", Min: 1, Max: 1,
			Test:     func(s *expand.Scope, args []expand.Value) (bool, error) { return askRADIUS(s, radiusFile(), args[0].S) },
			Examples: []expand.Example{{In: `${if radius{}{y}{n}}`, Out: "n"}},
		},
	}
}

// askSaslauthd sends user, password, service and realm, each with its length before it; the answer has the same form and begins with OK
// or NO.
func askSaslauthd(s *expand.Scope, path string, fields []string) (bool, error) {
	var request []byte
	for i := range 4 {
		field := ""
		if i < len(fields) {
			field = fields[i]
		}
		if len(field) > 1024 { // more than the daemon takes
			return false, nil
		}
		request = append(binary.BigEndian.AppendUint16(request, uint16(len(field))), field...)
	}
	answer, err := askDaemon(s, "saslauthd", path, request)
	if err != nil || len(answer) < 4 {
		return false, err
	}
	return string(answer[2:4]) == "OK", nil
}

// askPwcheck sends user and password, each with a zero byte behind; the answer begins with OK or is a reason.
func askPwcheck(s *expand.Scope, path, text string) (bool, error) {
	user, password, ok := strings.Cut(text, ":")
	if !ok || user == "" || strings.IndexByte(text, 0) >= 0 {
		return false, nil
	}
	answer, err := askDaemon(s, "pwcheck", path, []byte(user+"\x00"+password+"\x00"))
	return strings.HasPrefix(string(answer), "OK"), err
}

// askDaemon asks a daemon at a Unix socket. One that does not answer is a temporary failure.
func askDaemon(s *expand.Scope, name, path string, request []byte) ([]byte, error) {
	if err := s.Spend(expand.Costly); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.Ctx, serviceTimeout)
	defer cancel()
	conn, err := s.Engine.World.Dial.Dial(ctx, "unix", netip.Addr{}, path)
	if err != nil {
		return nil, expand.Defer("cannot connect to %s daemon at %s: %s", name, path, dialReason(err))
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err = conn.Write(request); err != nil {
		return nil, expand.Defer("write to %s daemon failed: %s", name, reason(err))
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 2048))
	if err != nil || len(answer) == 0 {
		return nil, expand.Defer("read from %s daemon failed", name)
	}
	return answer, nil
}

// radiusFile finds the configuration.
func radiusFile() string {
	for _, path := range radiusFiles {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return radiusFiles[0]
}

// askRADIUS asks the servers in turn. text is a list: user and password.
func askRADIUS(s *expand.Scope, file, text string) (bool, error) {
	_, parts := expand.SplitList(text)
	if len(parts) < 2 || parts[0] == "" {
		return false, nil
	}
	c, err := radius.ReadConfig(file)
	if err != nil {
		return false, expand.Defer("RADIUS: can't open %s: %s", file, reason(err))
	}
	r := &radius.Request{User: parts[0], Password: parts[1], NAS: s.Settings().PrimaryHostname}
	for _, server := range c.Servers {
		accepted, err := askServer(s, c, server, r)
		if err == nil {
			return accepted, nil
		}
		if errors.Is(err, radius.ErrTooLong) {
			return false, nil
		}
	}
	return false, expand.Defer("RADIUS: no server answers")
}

// askServer sends the question as often as the configuration says, until a true answer comes.
func askServer(s *expand.Scope, c *radius.Config, server radius.Server, r *radius.Request) (bool, error) {
	world := s.Engine.World
	addresses, err := hostAddresses(s.Ctx, world, server.Host)
	if err != nil {
		return false, err
	}
	random := make([]byte, 1+len(r.Authenticator))
	if _, err := world.Random.Read(random); err != nil {
		return false, err
	}
	r.ID = random[0]
	copy(r.Authenticator[:], random[1:])
	packet, err := r.Packet(server.Secret)
	if err != nil {
		return false, err
	}
	conn, err := world.Dial.Dial(s.Ctx, "udp", netip.Addr{}, net.JoinHostPort(addresses[0].String(), server.Port))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	stop := context.AfterFunc(s.Ctx, func() { conn.Close() })
	defer stop()
	buffer := make([]byte, 4096)
	for range c.Retries + 1 {
		if _, err = conn.Write(packet); err != nil {
			return false, err
		}
		_ = conn.SetReadDeadline(world.Clock.Now().Add(c.Timeout))
		for {
			n, readErr := conn.Read(buffer)
			if err = readErr; err != nil {
				break
			}
			if accepted, forged := r.Accepted(buffer[:n], server.Secret); forged == nil {
				return accepted, nil
			}
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			return false, err
		}
	}
	return false, err
}
