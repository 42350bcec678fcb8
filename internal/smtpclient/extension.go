package smtpclient

import (
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/smtp"
)

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
	// Responses looks at the reply to the end of the data. When the room knows it as one that announces a reply for each recipient that was
	// accepted, in order, and then one for the message, it returns true, and the transport reads and obeys those.
	Responses func(x *Exchange, first smtp.Reply) bool
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
	// Options are the transport's, with those that rooms added.
	Options option.Bag
	// Bag is for what rooms remember during the exchange.
	Bag mail.Bag
}
