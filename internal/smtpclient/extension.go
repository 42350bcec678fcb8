package smtpclient

import "exigo/internal/mail"

// Extension is what a room asks of the servers that mail is sent to. The smtp transport calls its functions, in the
// order of the catalog; any of them may be nil.
type Extension struct {
	// Name is the keyword of the EHLO reply.
	Name string
	// Doc is one sentence for the reference.
	Doc string
	// Check looks at a connection that is ready for MAIL. An outcome refuses the host for these recipients: a deferral goes on
	// to the next host, a failure ends the delivery.
	Check func(x *Exchange) *mail.Outcome
	// Mail returns a parameter for the MAIL command, "" for none.
	Mail func(x *Exchange) string
	// Rcpt returns a parameter for one RCPT command.
	Rcpt func(x *Exchange, a *mail.Address) string
	// Responses takes over after the end of data: it reads the replies and sets the outcome of each recipient that was accepted.
	// It returns false to leave them to the transport.
	Responses func(x *Exchange, accepted []*mail.Address) (taken bool, err error)
}

// Exchange is one message on one connection.
type Exchange struct {
	Conn      *Conn
	Message   *mail.Message
	Addresses []*mail.Address
	Host      *mail.Host
	// TLS is nil in clear text. Verified TLS has TLS.Verified.
	TLS *mail.TLS
	// Matches tells whether the host is in the host list.
	Matches func(list string) bool
	// Settings finds settings that the room added to the transport, as option.Of does on the instance's bag.
	Settings func(find func(bag any) any) any
	Bag      mail.Bag
}
