package pgsql

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"exigo/internal/lookup"
	"exigo/internal/outside"
)

// place is where a database is, and as whom to use it.
type place struct {
	socket                   string
	host                     string
	port                     uint16
	database, user, password string
}

const (
	usualPort   = 5432
	usualSocket = "/var/run/postgresql/.s.PGSQL." // and the port
)

// placeOf reads a server of the list. A path must be that of a socket of PostgreSQL.
func placeOf(s lookup.Server) (p place, err error) {
	p = place{host: s.Host, socket: s.Socket, database: s.Database, user: s.User, password: s.Password}
	if p.socket != "" {
		if !strings.Contains(p.socket, "/.s.PGSQL.") {
			return p, errors.New("PGSQL invalid filename for socket: " + p.socket)
		}
		return p, nil
	}
	if p.port, err = lookup.ParsePort(s.Port, usualPort); err != nil {
		if errors.Is(err, strconv.ErrRange) {
			return p, fmt.Errorf("PGSQL connection failed: invalid port number: %q\n", s.Port)
		}
		return p, fmt.Errorf("PGSQL connection failed: invalid integer value %q for connection option \"port\"\n", s.Port)
	}
	if p.host == "" {
		p.socket = usualSocket + strconv.Itoa(int(p.port))
	}
	return p, nil
}

func (p place) key() string {
	return strings.Join([]string{p.socket, p.host, strconv.Itoa(int(p.port)), p.database, p.user, p.password}, "\x00")
}

// connection is a session with a server.
type connection struct {
	raw  net.Conn // below TLS
	conn net.Conn
	wire *pgproto3.Frontend
	// process and secret name the session to who wants to cancel what it does.
	process uint32
	secret  []byte
}

// cancel tells the server to leave off what the session does (chapter 55.2.8), on a connection of its own.
func (c *connection) cancel(w *outside.World, p place) {
	ctx, done := context.WithTimeout(context.Background(), lookup.ConnectTimeout)
	defer done()
	request, err := (&pgproto3.CancelRequest{ProcessID: c.process, SecretKey: c.secret}).Encode(nil)
	if err != nil {
		return
	}
	conn, _, err := dial(ctx, w, p)
	if err != nil {
		return // then it will end when it is through
	}
	defer conn.Close()
	stop := lookup.Until(ctx, conn, terminateTimeout)
	defer stop()
	if _, err := conn.Write(request); err == nil {
		io.ReadFull(conn, make([]byte, 1)) // the server closes when it has obeyed
	}
}

// Close implements io.Closer: it says good-bye if that can be done at once.
func (c *connection) Close() error {
	c.wire.Send(&pgproto3.Terminate{})
	stop := lookup.Until(context.Background(), c.raw, terminateTimeout)
	c.wire.Flush()
	stop()
	return c.raw.Close()
}

// connect opens a session. The error is worded as libpq words it.
func connect(ctx context.Context, w *outside.World, p place) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, lookup.ConnectTimeout)
	defer cancel()
	raw, where, err := dial(ctx, w, p)
	if err != nil {
		return nil, err
	}
	c := &connection{raw: raw, conn: raw}
	stop := lookup.Until(ctx, raw, lookup.ConnectTimeout)
	if p.socket == "" {
		err = c.encrypt()
	}
	if err == nil {
		c.wire = pgproto3.NewFrontend(c.conn, c.conn)
		c.wire.SetMaxBodyLen(maxResult)
		err = c.begin(w, p)
	}
	if ended := stop(); ended != nil {
		err = errors.New(lookup.Reason(ended) + "\n")
	}
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("%s failed: %w", where, err)
	}
	return c, nil
}

// dial connects; where names the server in messages.
func dial(ctx context.Context, w *outside.World, p place) (conn net.Conn, where string, err error) {
	if p.socket != "" {
		where = fmt.Sprintf("connection to server on socket \"%s\"", p.socket)
		if conn, err = w.Dial.Dial(ctx, "unix", netip.Addr{}, p.socket); err != nil {
			err = fmt.Errorf("%s failed: %s\n\tIs the server running locally and accepting connections on that socket?\n", where, lookup.Reason(err))
		}
		return conn, where, err
	}
	conn, at, err := lookup.Dial(ctx, w, p.host, p.port)
	if errors.Is(err, lookup.ErrUnknownHost) || errors.Is(err, lookup.ErrHostAgain) {
		return nil, "", fmt.Errorf("could not translate host name \"%s\" to address: %w\n", p.host, err)
	}
	address := ""
	if at.String() != p.host {
		address = " (" + at.String() + ")"
	}
	where = fmt.Sprintf("connection to server at \"%s\"%s, port %d", p.host, address, p.port)
	if err != nil {
		err = fmt.Errorf("%s failed: %s\n\tIs the server running on that host and accepting TCP/IP connections?\n", where, lookup.Reason(err))
	}
	return conn, where, err
}

// encrypt uses TLS if the server can, as libpq does by default: it asks first, and looks at no certificate.
func (c *connection) encrypt() error {
	request, err := (&pgproto3.SSLRequest{}).Encode(nil)
	if err != nil {
		return err
	}
	if _, err := c.raw.Write(request); err != nil {
		return failure(err)
	}
	var answer [1]byte // not a byte more: what an attacker has put behind it must not count as encrypted
	if _, err := io.ReadFull(c.raw, answer[:]); err != nil {
		return failure(err)
	}
	if answer[0] != 'S' {
		return nil
	}
	t := tls.Client(c.raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err := t.Handshake(); err != nil {
		return fmt.Errorf("SSL error: %w\n", err)
	}
	c.conn = t
	return nil
}

func failure(err error) error { return errors.New(lookup.Reason(err) + "\n") }

// begin says who we are and waits until the server is ready.
func (c *connection) begin(w *outside.World, p place) error {
	parameters := map[string]string{"user": p.user}
	if p.database != "" {
		parameters["database"] = p.database
	}
	c.wire.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: parameters})
	if err := c.wire.Flush(); err != nil {
		return failure(err)
	}
	var proof *scram
	for {
		message, err := c.wire.Receive()
		if err != nil {
			return failure(err)
		}
		var reply pgproto3.FrontendMessage
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			return errors.New(errorText(m, ""))
		case *pgproto3.BackendKeyData:
			c.process, c.secret = m.ProcessID, bytes.Clone(m.SecretKey)
		case *pgproto3.ReadyForQuery:
			return nil
		case *pgproto3.AuthenticationCleartextPassword:
			reply = &pgproto3.PasswordMessage{Password: p.password}
		case *pgproto3.AuthenticationMD5Password:
			reply = &pgproto3.PasswordMessage{Password: "md5" + digest(digest(p.password+p.user)+string(m.Salt[:]))}
		case *pgproto3.AuthenticationSASL:
			if proof, err = newScram(w, m.AuthMechanisms, p.password); err == nil {
				reply = &pgproto3.SASLInitialResponse{AuthMechanism: scramMechanism, Data: []byte(proof.first())}
			}
		case *pgproto3.AuthenticationSASLContinue:
			var data string
			if data, err = proof.next(string(m.Data)); err == nil {
				reply = &pgproto3.SASLResponse{Data: []byte(data)}
			}
		case *pgproto3.AuthenticationSASLFinal:
			err = proof.end(string(m.Data))
		case *pgproto3.AuthenticationOk:
			if proof != nil && !proof.proven {
				err = errSignature
			}
		case *pgproto3.AuthenticationGSS, *pgproto3.AuthenticationGSSContinue:
			err = errors.New("GSSAPI is not supported\n")
		}
		if err == nil && reply != nil {
			if p.password == "" {
				return errors.New("fe_sendauth: no password supplied\n")
			}
			c.wire.Send(reply)
			err = c.wire.Flush()
		}
		if err != nil {
			return err
		}
	}
}

func digest(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
