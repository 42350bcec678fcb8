package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/address"
	"exigo/internal/smtpclient"
	"exigo/internal/tlspolicy"
	"exigo/internal/transport"
)

// Purpose says what a connection is for.
type Purpose int

// Purposes.
const (
	ForDelivery Purpose = iota
	// ForCallout: hosts_verify_avoid_tls holds as well.
	ForCallout
)

// Connect opens a connection to a host as the run's transport is configured, ready for MAIL: greeting, EHLO, TLS and
// authentication are done, as deliveries do it. Host has its Address; Port 0 is the transport's own.
// The error is a *smtpclient.Error or a *transport.Error.
func Connect(ctx context.Context, r *transport.Run, host *mail.Host) (*smtpclient.Conn, error) {
	set, err := settingsFor(ctx, r, host, ForDelivery)
	if err != nil {
		return nil, err
	}
	return smtpclient.Open(ctx, set)
}

// ConnectToAsk is Connect for a callout, whose own timeouts hold until the connection stands: connect for the connection, command for each step
// after it. Then they are the transport's.
func ConnectToAsk(ctx context.Context, r *transport.Run, host *mail.Host, connect, command time.Duration) (*smtpclient.Conn, error) {
	set, err := settingsFor(ctx, r, host, ForCallout)
	if err != nil {
		return nil, err
	}
	set.Clear = "callout unencrypted to "
	usual := set.Timeouts
	set.Timeouts.Connect, set.Timeouts.Command = connect, command
	c, err := smtpclient.Open(ctx, set)
	if err == nil {
		c.SetTimeouts(usual)
	}
	return c, err
}

// settingsFor are the settings of a connection to a host, with the transport's port if it has none.
func settingsFor(ctx context.Context, r *transport.Run, host *mail.Host, p Purpose) (*smtpclient.Settings, error) {
	h := *host
	if h.Port == 0 {
		port, err := Of(r.Transport.Instance).port(r)
		if err != nil {
			return nil, err
		}
		h.Port = port
	}
	return clientSettings(ctx, r, &h, p)
}

// clientSettings expands everything that a connection to the host needs. The scope's Host is the host from here on.
func clientSettings(ctx context.Context, r *transport.Run, h *mail.Host, p Purpose) (*smtpclient.Settings, error) {
	s, services := Of(r.Transport.Instance), servicesOf(r)
	r.Scope.Host, r.Scope.Outgoing = h, nil
	set := &smtpclient.Settings{
		World: r.Services.World, Host: h.Name, Address: h.Address, Port: h.Port, LMTP: s.Protocol == "lmtp", OnConnect: s.Protocol == "smtps" || s.Protocol == "submissions",
		Timeouts: s.timeouts(), Keepalive: s.Keepalive, DSCP: -1, TryClear: s.TLSTempfailTryClear, Log: r.Services.Log,
	}
	if s.DSCP != "" {
		v, err := r.Expand(string(s.DSCP), "\"dscp\" option")
		if err != nil && !errors.Is(err, expand.ErrForced) {
			return nil, err
		}
		if n, ok := smtpclient.DSCP(v.S); ok {
			set.DSCP = n
		}
	}
	var err error
	if set.Source, err = source(r, s, h); err != nil {
		return nil, err
	}
	set.HelloName = func(local netip.AddrPort) (string, error) {
		r.Scope.SetExtra("sending_ip_address", mail.Clean(local.Addr().String()))
		r.Scope.SetExtra("sending_port", mail.Clean(strconv.Itoa(int(local.Port()))))
		v, err := r.Scope.Engine.Expand(r.Scope, string(s.HeloData))
		if err != nil {
			return "", fmt.Errorf("failed to expand \"helo_data\" option for %s transport: %v", r.Transport.Name, err)
		}
		name := strings.Map(printable, v.S)
		if ascii, err := address.DomainToASCII(name); err == nil {
			name = ascii
		}
		return name, nil
	}
	connectionEvents(r, set, p)
	if err := extensions(r, s, h, set); err != nil {
		return nil, err
	}
	if err := wantTLS(r, s, services, h, p, set); err != nil {
		return nil, err
	}
	return set, authentication(r, s, services, h, set)
}

func printable(c rune) rune {
	if c < ' ' || c == 0x7f {
		return -1
	}
	return c
}

// source picks the local address of the option interface.
func source(r *transport.Run, s *Settings, h *mail.Host) (netip.Addr, error) {
	if s.Interface == "" {
		return netip.Addr{}, nil
	}
	v, err := r.Scope.Engine.Expand(r.Scope, string(s.Interface))
	if errors.Is(err, expand.ErrForced) {
		return netip.Addr{}, nil
	}
	if err != nil {
		return netip.Addr{}, transport.Panic(mail.ErrnoUnknown, "failed to expand \"interface\" option for %s transport: %v", r.Transport.Name, err)
	}
	for _, item := range transport.SplitList(v.S, ':') {
		a, err := netip.ParseAddr(item)
		if err != nil {
			return netip.Addr{}, transport.Panic(mail.ErrnoUnknown, "\"%s\" is not a valid IP address for the \"interface\" option for %s transport", item, r.Transport.Name)
		}
		if a.Is4() == h.Address.Is4() {
			return a, nil
		}
	}
	return netip.Addr{}, nil
}

// extensions sets which extensions are forgone for the host.
func extensions(r *transport.Run, s *Settings, h *mail.Host, set *smtpclient.Settings) error {
	for _, one := range []struct {
		into *bool
		list option.HostList
		name string
		not  bool
	}{
		{&set.NoESMTP, s.AvoidESMTP, "hosts_avoid_esmtp", false},
		{&set.NoPipelining, s.AvoidPipelining, "hosts_avoid_pipelining", false},
		{&set.NoChunking, s.TryChunking, "hosts_try_chunking", true},
	} {
		yes, err := matchHost(r, one.list, h, one.name)
		if err != nil {
			return err
		}
		*one.into = yes != one.not
	}
	return nil
}

// wantTLS sets how much TLS is wanted, and the handshake.
func wantTLS(r *transport.Run, s *Settings, services *Services, h *mail.Host, p Purpose, set *smtpclient.Settings) error {
	if services.TLS == nil {
		return nil
	}
	require, err := matchHost(r, s.RequireTLS, h, "hosts_require_tls")
	if err != nil {
		return err
	}
	avoid := false
	if !require {
		if avoid, err = matchHost(r, s.AvoidTLS, h, "hosts_avoid_tls"); err != nil {
			return err
		}
		if !avoid && p == ForCallout {
			if avoid, err = matchHost(r, s.VerifyAvoidTLS, h, "hosts_verify_avoid_tls"); err != nil {
				return err
			}
		}
	}
	switch {
	case require:
		set.TLS = smtpclient.TLSRequire
	case !avoid:
		set.TLS = smtpclient.TLSTry
	}
	set.Handshake = func(ctx context.Context, raw net.Conn) (net.Conn, *mail.TLS, error) {
		return shakeHands(ctx, r, s, services.TLS, h, raw)
	}
	return nil
}

// shakeHands starts TLS. Its error texts begin as Exim's do.
func shakeHands(ctx context.Context, r *transport.Run, s *Settings, policy *tlspolicy.Policy, h *mail.Host, raw net.Conn) (net.Conn, *mail.TLS, error) {
	main := option.Of[config.Main](r.Scope.Config.MainOptions())
	shake, err := policy.Client(r.Scope, tlspolicy.ClientOptions{
		Certificate: string(s.TLSCertificate), PrivateKey: string(s.TLSPrivateKey), RequireCiphers: string(s.TLSRequireCiphers),
		VerifyCertificates: string(s.TLSVerifyCertificates), CRL: string(s.TLSCRL), SNI: string(s.TLSSNI), ALPN: string(s.TLSALPN),
		VerifyHosts: string(s.TLSVerifyHosts), TryVerifyHosts: string(s.TLSTryVerifyHosts), VerifyCertHostnames: string(s.TLSVerifyCertHostnames),
		RequireALPNHosts: string(s.RequireALPN), OpenSSLOptions: string(main.OpenSSLOptions), HostName: certificateName(h), Event: tlsEvents(r),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("TLS session: %v", err)
	}
	c := tls.Client(raw, shake.Config)
	if err := c.HandshakeContext(ctx); err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() || ctx.Err() != nil {
			return nil, nil, errors.New("TLS session: (SSL_connect): timed out")
		}
		return nil, nil, fmt.Errorf("TLS session: (SSL_connect): error: %s", smtpclient.Printable(err.Error()))
	}
	info, err := shake.Finish(c.ConnectionState())
	if err != nil {
		return nil, nil, fmt.Errorf("TLS session: (SSL_connect) %v", err)
	}
	r.Scope.Outgoing = info
	return c, info, nil
}

func certificateName(h *mail.Host) string {
	if h.CertName != "" {
		return h.CertName
	}
	return h.Name
}

// authentication sets whether and how we authenticate.
func authentication(r *transport.Run, s *Settings, services *Services, h *mail.Host, set *smtpclient.Settings) error {
	try, err := matchHost(r, s.TryAuth, h, "hosts_try_auth")
	if err != nil {
		return err
	}
	require, err := matchHost(r, s.RequireAuth, h, "hosts_require_auth")
	if err != nil || !try && !require {
		return err
	}
	a := &smtpclient.Authenticators{World: r.Services.World, All: services.Authenticators, Scope: r.Scope, Try: try, Require: require,
		Hostname: r.Scope.Settings().PrimaryHostname, Host: h.Name, Address: h.Address.String(), Log: r.Services.Log}
	if r.Listened() {
		a.Event = func(name, data string) string {
			return r.Raise(expand.Event{Name: "auth:fail", Data: data, Authenticator: name}, nil)
		}
	}
	set.Authenticate = a.Authenticate
	return nil
}

// poolKey names the place and the manner of a connection: only connections of equal keys replace one another.
func (d *delivery) poolKey(set *smtpclient.Settings) string {
	s := d.settings
	return strings.Join([]string{d.run.Transport.Name, set.Host, netip.AddrPortFrom(set.Address, uint16(set.Port)).String(), set.Source.String(), s.Protocol,
		strconv.Itoa(int(set.TLS)), strconv.FormatBool(set.Authenticate != nil), strconv.FormatBool(set.NoESMTP), d.policyKey()}, "\x00")
}

// policyKey is what the options expand to that change a session as a whole: two messages for which they differ never share one.
func (d *delivery) policyKey() string {
	s := d.settings
	var b strings.Builder
	for _, text := range []option.Expanded{s.HeloData, s.TLSCertificate, s.TLSPrivateKey, s.TLSRequireCiphers, s.TLSVerifyCertificates, s.TLSCRL, s.TLSSNI, s.TLSALPN} {
		if !strings.Contains(string(text), "$") {
			continue // the same for all messages of the transport
		}
		if text == "$primary_hostname" {
			continue
		}
		v, err := d.run.Scope.Engine.Expand(d.run.Scope, string(text))
		if err != nil {
			b.WriteString("\x01")
			continue
		}
		b.WriteString(v.S)
		b.WriteByte(0)
	}
	return b.String()
}
