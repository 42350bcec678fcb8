package cli

import (
	"context"
	"errors"
	"fmt"

	"exigo/internal/feature/atrn"
	"exigo/internal/mail"
	"exigo/internal/smtpserver"
)

// fetch is -atrn: it asks a provider for the mail of domains (RFC 2645), and takes it over the same connection.
func (p *Program) fetch(ctx context.Context) error {
	if !p.admin() {
		return exitf(1, "exim: permission denied")
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer p.finish(ctx)
	call, err := p.call()
	if err != nil {
		return err
	}
	host := p.Arguments.HostAddress
	m := &mail.Message{Session: p.Server.Receiver.LocalSession(call), SenderSet: true}
	atrn.Customer(m, host)
	c, h, err := p.Server.ConnectTo(ctx, m, "atrn@"+host)
	if err != nil {
		return exitf(1, "exim: no connection to provider %s: %v", host, err)
	}
	defer c.Close()
	var refused *atrn.Refused
	switch err := atrn.Ask(c, p.Arguments.Domains); {
	case errors.As(err, &refused) && refused.Code == 453: // there is no mail
		c.Quit()
		fmt.Fprintf(p.Stdout, "%s\n", refused.Text)
		return nil
	case errors.As(err, &refused):
		c.Quit()
		return exitf(1, "exim: ATRN refused by provider %s: %s", host, refused.Text)
	case err != nil:
		return exitf(1, "exim: ATRN to provider %s failed: %v", host, err)
	}
	conn, err := c.Detach()
	if err != nil {
		return exitf(1, "exim: ATRN to provider %s failed: %v", host, err)
	}
	noun := &mail.Session{Host: h.Address, Port: h.Port, Interface: c.Local.Addr(), InterfacePort: int(c.Local.Port()), TLS: c.TLS, Ident: m.Session.Login}
	if noun.Ident == "" {
		noun.Ident = p.login()
	}
	if ended := p.Server.SMTP.Serve(ctx, conn, smtpserver.Start{Noun: noun, NotSocket: c.TLS != nil}); ended.Failed {
		return exitf(1, "exim: the connection to provider %s broke", host)
	}
	return nil
}
