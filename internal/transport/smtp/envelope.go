package smtp

import (
	"errors"
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/proto/smtp"
	"exigo/internal/transport"
)

// mail builds the MAIL command (RFC 5321, 1870, 6152, 6531, 3461, 4954).
func (t *transaction) mail(addrs []*mail.Address) (string, error) {
	d, c, m := t.d, t.c, t.d.run.Message
	if err := t.international(addrs); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("MAIL FROM:<")
	b.WriteString(t.envelopeAddress(d.run.ReturnPath))
	b.WriteByte('>')
	if c.Extensions.Has("SIZE") && d.settings.SizeAddition >= 0 {
		b.WriteString(" SIZE=")
		b.WriteString(strconv.FormatInt(m.Size+int64(m.Lines)+int64(d.settings.SizeAddition), 10))
	}
	err := t.parameters(&b)
	return b.String(), err
}

// parameters adds those of MAIL that do not depend on the message's size.
func (t *transaction) parameters(b *strings.Builder) error {
	c, m := t.c, t.d.run.Message
	if m.BodyType == 8 && c.Extensions.Has("8BITMIME") {
		b.WriteString(" BODY=8BITMIME")
	}
	if t.utf8 {
		b.WriteString(" SMTPUTF8")
	}
	if c.Extensions.Has("DSN") && !allLastHop(t.d.run.Addresses) {
		if m.Ret != "" {
			b.WriteString(" RET=" + m.Ret)
		}
		if m.EnvID != "" {
			b.WriteString(" ENVID=" + wire(m.EnvID))
		}
	}
	auth, err := t.authParameter()
	if err != nil {
		return err
	}
	b.WriteString(auth)
	t.roomsMail(b)
	return nil
}

// wire keeps text that goes into a command from ending it.
func wire(s string) string {
	if !strings.ContainsAny(s, "\r\n\x00") {
		return s
	}
	return strings.Map(printable, s)
}

// authParameter is " AUTH=..." (option authenticated_sender).
func (t *transaction) authParameter() (string, error) {
	d, s := t.d, t.d.settings
	sender := d.run.Message.Session.AuthSender
	if d.run.Message.SenderLocal && sender == "" {
		sender = d.run.Message.Sender
	}
	if s.AuthenticatedSender != "" {
		v, err := d.run.Scope.Engine.Expand(d.run.Scope, string(s.AuthenticatedSender))
		if err != nil && !errors.Is(err, expand.ErrForced) {
			return "", transport.Defer(mail.ErrnoExpandFail, "failed to expand authenticated_sender: %v", err)
		}
		if err == nil && v.S != "" {
			sender = v.S
		}
	}
	if sender == "" || t.c.AuthName == "" && !s.AuthenticatedSenderForce {
		return "", nil
	}
	return " AUTH=" + smtp.EncodeXtext(sender), nil
}

// rcpt builds the RCPT command of an address.
func (t *transaction) rcpt(a *mail.Address) string {
	return "RCPT TO:<" + t.envelopeAddress(t.d.run.Recipient(a)) + ">" + t.rcptParameters(a)
}

// rcptParameters are what follows the address.
func (t *transaction) rcptParameters(a *mail.Address) (parameters string) {
	if t.c.LMTP && t.d.settings.LMTPIgnoreQuota && t.c.Extensions.Has("IGNOREQUOTA") {
		parameters += " IGNOREQUOTA"
	}
	if a.DSNLastHop {
		return parameters + t.roomsRcpt(a)
	}
	a.DSNAware = mail.DSNNo
	if t.c.Extensions.Has("DSN") {
		a.DSNAware = mail.DSNYes
		parameters += notify(a.Notify)
		if a.ORCPT != "" {
			parameters += " ORCPT=" + wire(a.ORCPT)
		}
	}
	return parameters + t.roomsRcpt(a)
}

// notify is the NOTIFY parameter (RFC 3461 section 4.1).
func notify(n mail.Notify) string {
	if n == 0 {
		return ""
	}
	if n&mail.NotifyNever != 0 {
		return " NOTIFY=NEVER"
	}
	var words []string
	for _, w := range []struct {
		bit  mail.Notify
		name string
	}{{mail.NotifySuccess, "SUCCESS"}, {mail.NotifyFailure, "FAILURE"}, {mail.NotifyDelay, "DELAY"}} {
		if n&w.bit != 0 {
			words = append(words, w.name)
		}
	}
	return " NOTIFY=" + strings.Join(words, ",")
}

// allLastHop tells whether no address takes its requests of RFC 3461 further.
func allLastHop(addrs []*mail.Address) bool {
	for _, a := range addrs {
		if !a.DSNLastHop {
			return false
		}
	}
	return true
}
