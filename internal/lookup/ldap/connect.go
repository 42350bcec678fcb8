package ldap

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"exigo/internal/lookup"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/tlspolicy"
)

// place is where a server is.
type place struct {
	scheme string
	host   string // a name, an address, the path of a socket, or "" for the usual place
	port   int
}

const (
	usualPort, usualPortTLS = 389, 636
	usualHost               = "localhost"
	usualSocket             = "/var/run/slapd/ldapi"
)

// placeOf makes the place of a host and a port, of which what is no number is the usual one.
func placeOf(scheme, host, port string) place {
	p := place{scheme: scheme, host: host, port: usualPort}
	if scheme == "ldaps" {
		p.port = usualPortTLS
	}
	if n, err := strconv.Atoi(port); err == nil && n > 0 {
		p.port = n
	}
	return p
}

func (p place) isSocket() bool { return strings.HasPrefix(p.host, "/") }

// String is the server in messages.
func (p place) String() string {
	switch {
	case p.isSocket():
		return p.host
	case p.host == "":
		return "NULL:" + strconv.Itoa(p.port)
	}
	return p.host + ":" + strconv.Itoa(p.port)
}

// client keeps connections.
type client struct {
	idle lookup.Connections[*connection]
}

// connection is a session with a server, bound as somebody.
type connection struct {
	*ldapv3.Conn
	raw *metered
}

// metered bounds how much a server may send in answer to one request; late says that it took too long.
type metered struct {
	net.Conn
	left atomic.Int64
	late atomic.Bool
}

const maxResult = 16 << 20

var errTooLarge = errors.New("the result is too large")

// Read implements io.Reader.
func (m *metered) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		m.late.Store(true)
	}
	if m.left.Add(-int64(n)) < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// each tries the servers of a query: that of its URL, or else those that it or the main option lists, until one has answered or there is a
// serious error.
func (c *client) each(ctx context.Context, w *outside.World, main *settings, q query, ask func(p place) error) error {
	u := q.url
	if u.host != "" {
		return ask(placeOf(u.scheme, u.host, u.port))
	}
	list := option.SplitList(q.servers)
	if len(list) == 0 {
		list = option.SplitList(main.servers)
	}
	if len(list) == 0 {
		return ask(placeOf(u.scheme, "", u.port))
	}
	var err error
	for _, item := range list {
		host, port := item, ""
		if !strings.HasPrefix(item, "/") {
			host, port = lookup.HostPort(item)
		}
		if err = ask(placeOf(u.scheme, host, port)); err == nil || isSerious(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// limit is how long an operation on the network may take.
func (q query) limit(usual time.Duration) time.Duration {
	if q.nettime > 0 {
		return q.nettime
	}
	return usual
}

// get gives a connection on which the user of the query is bound. reused says that it was at hand.
func (c *client) get(ctx context.Context, w *outside.World, main *settings, p place, q query) (conn *connection, reused bool, err error) {
	key := poolKey(main, p, q)
	for {
		conn, ok := c.idle.Take(key, w.Clock.Now())
		if !ok {
			break
		}
		if !conn.IsClosing() {
			return conn, true, nil
		}
		conn.Close()
	}
	if conn, err = connect(ctx, w, main, p, q); err != nil {
		return nil, false, err
	}
	err = conn.during(ctx, q.limit(lookup.ConnectTimeout), func() error { return conn.bind(q.user, q.password) })
	if err == nil {
		return conn, false, nil
	}
	conn.Close()
	failed := fmt.Sprintf("failed to bind the LDAP connection to server %s - ", p)
	if code, text, ok := codeOf(err); ok {
		return nil, false, fmt.Errorf("%sLDAP error %d: %s", failed, code, text)
	}
	return nil, false, errors.New(failed + "ldap_bind() returned -1")
}

// poolKey names connections of which one is as good as another: to a server, as a user, and encrypted in one way, as options may change.
func poolKey(s *settings, p place, q query) string {
	return strings.Join([]string{p.scheme, p.String(), q.user, q.password, strconv.FormatBool(s.startTLS), s.requireCert, s.caFile, s.caDir, s.certFile, s.certKey, s.ciphers}, "\x00")
}

// during runs an operation, which ends with ctx and after the limit.
func (c *connection) during(ctx context.Context, limit time.Duration, operation func() error) error {
	c.raw.left.Store(maxResult)
	stop := lookup.Until(ctx, c.raw, limit)
	err := operation()
	if ended := stop(); ended != nil {
		return ended
	}
	return err
}

func (c *connection) bind(user, password string) error {
	_, err := c.SimpleBind(&ldapv3.SimpleBindRequest{Username: user, Password: password, AllowEmptyPassword: true})
	return err
}

// connect connects, with TLS if it is wanted. A socket of the machine needs none.
func connect(ctx context.Context, w *outside.World, main *settings, p place, q query) (*connection, error) {
	if p.scheme == "ldapi" && p.host != "" && !p.isSocket() {
		return nil, fmt.Errorf("ldapi requires an absolute path (\"%s\" given)", p.host)
	}
	if main.version != -1 && main.version != 3 {
		return nil, fmt.Errorf("failed to initialize for LDAP server %s - version %d is not supported", p, main.version)
	}
	limit := q.limit(lookup.ConnectTimeout)
	dialling, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var raw net.Conn
	var err error
	switch {
	case p.isSocket():
		raw, err = w.Dial.Dial(dialling, "unix", netip.Addr{}, p.host)
	case p.scheme == "ldapi":
		raw, err = w.Dial.Dial(dialling, "unix", netip.Addr{}, usualSocket)
	case p.port > 65535:
		err = syscall.EINVAL
	default:
		raw, _, err = lookup.Dial(dialling, w, cmp.Or(p.host, usualHost), uint16(p.port))
	}
	if err != nil {
		return nil, fmt.Errorf("failed to bind the LDAP connection to server %s - ldap_bind() returned -1", p)
	}
	conn := &connection{raw: &metered{Conn: raw}}
	if err := conn.start(ctx, main, p, limit); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// start begins the session.
func (c *connection) start(ctx context.Context, main *settings, p place, limit time.Duration) error {
	encrypted := p.scheme == "ldaps" && !p.isSocket()
	later := main.startTLS && !encrypted && !p.isSocket() && p.scheme != "ldapi"
	var config *tls.Config
	if encrypted || later {
		var err error
		if config, err = main.tlsConfig(p.host); err != nil {
			return fmt.Errorf("failed to initialize for LDAP server %s - %w", p, err)
		}
	}
	var session net.Conn = c.raw
	if encrypted {
		c.raw.left.Store(maxResult)
		t := tls.Client(c.raw, config)
		dialling, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		if err := t.HandshakeContext(dialling); err != nil {
			return fmt.Errorf("failed to bind the LDAP connection to server %s - ldap_bind() returned -1 (%w)", p, err)
		}
		session = t
	}
	c.Conn = ldapv3.NewConn(session, encrypted)
	c.raw.left.Store(maxResult)
	c.Start()
	if !later {
		return nil
	}
	if err := c.during(ctx, limit, func() error { return c.StartTLS(config) }); err != nil {
		code, text, ok := codeOf(err)
		if !ok {
			code, text = -11, "Connect error" // OpenLDAP's for all that goes wrong in the handshake
		}
		c.Conn.Close()
		return fmt.Errorf("failed to initiate TLS processing on an LDAP session to server %s - ldap_start_tls_s() returned %d: %s", p, code, text)
	}
	return nil
}

// tlsConfig makes TLS settings of the main options.
func (s *settings) tlsConfig(host string) (*tls.Config, error) {
	t := &tls.Config{ServerName: cmp.Or(host, usualHost), MinVersion: tls.VersionTLS12}
	switch strings.ToLower(s.requireCert) {
	case "", "hard", "demand", "try":
	default:
		t.InsecureSkipVerify = true
	}
	var files []string
	if s.caFile != "" {
		files = append(files, s.caFile)
	}
	if s.caDir != "" {
		found, _ := filepath.Glob(filepath.Join(s.caDir, "*"))
		files = append(files, found...)
	}
	if len(files) > 0 || s.caDir != "" {
		t.RootCAs = x509.NewCertPool()
		for _, f := range files {
			pem, err := os.ReadFile(f)
			if err != nil && f == s.caFile {
				return nil, lookup.OpenError(f, "LDAP certificates", err)
			}
			t.RootCAs.AppendCertsFromPEM(pem)
		}
	}
	if s.certFile != "" {
		key := s.certKey
		if key == "" {
			key = s.certFile
		}
		own, err := tls.LoadX509KeyPair(s.certFile, key)
		if err != nil {
			return nil, fmt.Errorf("the certificate %s cannot be used: %w", s.certFile, err)
		}
		t.Certificates = []tls.Certificate{own}
	}
	if s.ciphers != "" {
		t.CipherSuites = tlspolicy.CipherSuites(s.ciphers)
	}
	return t, nil
}

// authenticate tells whether a server takes the user and the password of the query.
func (c *client) authenticate(ctx context.Context, w *outside.World, main *settings, text string) (yes bool, err error) {
	q, err := parse(text)
	switch {
	case err != nil && !isSerious(err): // the URL comes last
		return false, err
	case !q.userGiven || !q.passwordGiven:
		return false, errors.New("ldapauth lookups must specify the username and password")
	case q.password == "":
		return false, nil
	case err != nil:
		return false, err
	}
	err = c.each(ctx, w, main, q, func(p place) error {
		conn, err := connect(ctx, w, main, p, q)
		if err != nil {
			return err
		}
		defer conn.Close()
		err = conn.during(ctx, q.limit(lookup.ConnectTimeout), func() error { return conn.bind(q.user, q.password) })
		code, reason, known := codeOf(err)
		switch {
		case err == nil:
			yes = true
			return nil
		case !known:
			return fmt.Errorf("failed to bind the LDAP connection to server %s - ldap_bind() returned -1", p)
		case code == ldapv3.LDAPResultInvalidCredentials:
			return nil
		}
		return fmt.Errorf("failed to bind the LDAP connection to server %s - LDAP error %d: %s", p, code, reason)
	})
	return yes, err
}
