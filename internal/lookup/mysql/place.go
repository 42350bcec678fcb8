package mysql

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	mariadb "github.com/go-sql-driver/mysql"

	"exigo/internal/lookup"
	"exigo/internal/outside"
)

// place is where a database is, and as whom to use it.
type place struct {
	host                     string
	port                     uint16
	socket                   string
	database, user, password string
	tls                      encryption
	timeout                  time.Duration
}

// encryption is what an option file says of TLS.
type encryption struct {
	use, verify   bool
	ca, cert, key string
}

const (
	usualPort   = 3306
	usualSocket = "/run/mysqld/mysqld.sock"
)

// placeOf reads a server of the list. What it leaves open is taken from the option files.
func placeOf(s lookup.Server, options map[string]string) (place, error) {
	p := place{
		host: cmp.Or(s.Host, options["host"]), socket: cmp.Or(s.Socket, options["socket"]), database: cmp.Or(s.Database, options["database"]),
		user: cmp.Or(s.User, options["user"]), password: cmp.Or(s.Password, options["password"]), timeout: lookup.ConnectTimeout,
	}
	var err error
	if p.port, err = lookup.ParsePort(cmp.Or(s.Port, options["port"]), usualPort); err != nil {
		return p, fmt.Errorf("malformed port in MySQL server data: %q", s.Port)
	}
	if n, err := strconv.ParseUint(options["connect-timeout"], 10, 16); err == nil && n > 0 {
		p.timeout = time.Duration(n) * time.Second
	}
	p.tls = encryption{ca: options["ssl-ca"], cert: options["ssl-cert"], key: options["ssl-key"], use: enabled(options, "ssl"), verify: enabled(options, "ssl-verify-server-cert")}
	p.tls.use = p.tls.use || p.tls.ca != "" || p.tls.cert != "" || p.tls.verify
	switch {
	case s.Socket != "" || p.host == "" || p.host == "localhost":
		p.socket = cmp.Or(p.socket, usualSocket)
		p.host, p.port, p.tls = "", 0, encryption{}
	default:
		p.socket = ""
	}
	return p, nil
}

// connectError is the failure to reach a server, worded as the client library of MariaDB words it.
type connectError struct{ text string }

// Error implements error.
func (e *connectError) Error() string { return e.text }

// connector makes connections to the place.
func (p place) connector(w *outside.World) (driver.Connector, error) {
	cfg := mariadb.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = p.user, p.password, p.database
	cfg.Timeout = p.timeout
	cfg.ReadTimeout, cfg.WriteTimeout = lookup.QueryTimeout, lookup.QueryTimeout
	cfg.Logger = &mariadb.NopLogger{}
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(p.host, strconv.Itoa(int(p.port)))
	if p.socket != "" {
		cfg.Net, cfg.Addr = "unix", p.socket
	}
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx, w) }
	if p.tls.use {
		var err error
		if cfg.TLS, err = p.tls.config(p.host); err != nil {
			return nil, err
		}
	}
	return mariadb.NewConnector(cfg)
}

func (p place) dial(ctx context.Context, w *outside.World) (net.Conn, error) {
	if p.socket != "" {
		conn, err := w.Dial.Dial(ctx, "unix", netip.Addr{}, p.socket)
		if err != nil {
			return nil, &connectError{fmt.Sprintf("Can't connect to local server through socket '%s' (%s)", p.socket, number(err))}
		}
		return conn, nil
	}
	conn, _, err := lookup.Dial(ctx, w, p.host, p.port)
	switch {
	case errors.Is(err, lookup.ErrUnknownHost):
		return nil, &connectError{fmt.Sprintf("Unknown server host '%s' (-2)", p.host)}
	case errors.Is(err, lookup.ErrHostAgain):
		return nil, &connectError{fmt.Sprintf("Unknown server host '%s' (-3)", p.host)}
	case err != nil:
		return nil, &connectError{fmt.Sprintf("Can't connect to server on '%s' (%s)", p.host, number(err))}
	}
	return conn, nil
}

// number is the number of a system error; what has none is said in words.
func number(err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		return strconv.Itoa(int(e))
	}
	return lookup.Reason(err)
}

// config makes TLS settings: the server's certificate is looked at only if there is something to hold it against.
func (e encryption) config(host string) (*tls.Config, error) {
	t := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: e.ca == "" && !e.verify}
	if e.ca != "" {
		pem, err := os.ReadFile(e.ca)
		if err != nil {
			return nil, lookup.OpenError(e.ca, "the certificates of MySQL servers", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("no certificate in %s", e.ca)
		}
	}
	if e.cert != "" {
		own, err := tls.LoadX509KeyPair(e.cert, cmp.Or(e.key, e.cert))
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{own}
	}
	return t, nil
}
