package smtp

import (
	"context"

	"exigo/internal/auth"
	"exigo/internal/retry"
	"exigo/internal/smtpclient"
	"exigo/internal/tlspolicy"
	"exigo/internal/transport"
)

// Services are what the smtp transport asks of higher layers; transport.Services.Remote holds a *Services. Every field may be nil.
type Services struct {
	// Pool keeps connections for the next message to the same place; nil: every delivery ends with QUIT.
	Pool *smtpclient.Pool
	// PerMessage keeps connections for further copies of the same message only; when it is done, Pool.Finish must be called.
	PerMessage bool
	// Next names a message that waits for the transport's host other than asking, "" for none; with PerMessage it gets the connection.
	Next func(transport, host, asking string) (id string)
	// TLS makes handshakes; nil: STARTTLS is not used.
	TLS *tlspolicy.Policy
	// Authenticators are the configured ones, in order.
	Authenticators []*auth.Authenticator
	// Extensions are what rooms ask of servers, in the order of the catalog.
	Extensions []*smtpclient.Extension
	// Signers sign messages, in the order of the catalog.
	Signers []*transport.Signer
	// Retry and Rules tell which hosts may be tried now.
	Retry *retry.Hints
	Rules *retry.Rules
	// Wait remembers that the message waits for hosts that could not be reached.
	Wait func(ctx context.Context, transport string, hosts []string, id string)
	// Serialize takes the right to be the only one that connects to a host (serialize_hosts).
	Serialize func(ctx context.Context, host string) (release func(), ok bool)
	// LogPort says that log lines show the port of hosts (log selector outgoing_port).
	LogPort bool
}

func servicesOf(r *transport.Run) *Services {
	if s, ok := r.Services.Remote.(*Services); ok && s != nil {
		return s
	}
	return &Services{}
}
