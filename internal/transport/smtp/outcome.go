package smtp

import (
	"strconv"
	"syscall"

	"exigo/internal/mail"
	"exigo/internal/smtpclient"
	"exigo/internal/transport"
)

// hostFailed logs an error that concerns all addresses, and asks for retry records.
func (d *delivery) hostFailed(h *mail.Host, p problem, hostKey, messageKey string) {
	if p.err == nil || d.ctx.Err() != nil {
		return
	}
	d.failing = &p.outcome
	if p.about == aboutHost { // a message's problem was logged when it was seen
		d.logHost(h, p.err)
		d.raise("msg:host:defer", d.about(), p.outcome)
	}
	u := mail.RetryUpdate{Key: hostKey, IsHost: true, Host: h.Name, Errno: p.outcome.Errno, MoreErrno: p.outcome.MoreErrno, Message: d.retryText(h, p.outcome)}
	if p.about == aboutMessage {
		u.Key = messageKey
	} else {
		d.waiting = append(d.waiting, h.Name)
	}
	for _, a := range d.pending {
		a.Outcome.RetryKeys = append(a.Outcome.RetryKeys, u)
	}
}

// label is "name [address]", with the port if the log shows it.
func (d *delivery) label(h *mail.Host) string {
	s := h.Name + " [" + h.Address.String() + "]"
	if d.services.LogPort {
		s += ":" + strconv.Itoa(h.Port)
	}
	return s
}

// logHost writes the line about a host that failed. Failures of TLS have their line already, those of authentication theirs.
func (d *delivery) logHost(h *mail.Host, err *smtpclient.Error) {
	if err.Kind == smtpclient.TLSFailure || err.Kind == smtpclient.AuthFailure || d.run.Services.Log == nil || d.run.Transport.Generic.DisableLogging {
		return
	}
	line := "H=" + d.label(h)
	text, errno := err.Error(), err.Errno
	if err.Kind == smtpclient.Timeout {
		errno = syscall.ETIMEDOUT
	}
	switch {
	case err.Kind == smtpclient.Vetoed:
		line += " Event requests alternate response"
	case text != "" && errno != 0:
		line += ": " + text + ": " + transport.Strerror(int(errno))
	case text != "":
		line += ": " + text
	default:
		line += " " + transport.Strerror(int(errno))
	}
	d.run.Services.Log(line)
}

// outcome makes an address's outcome of an error, with the host where the log shows it.
func (d *delivery) outcome(err *smtpclient.Error, h *mail.Host) mail.Outcome {
	o := err.Outcome()
	found := mail.MoreA
	if h.MX >= 0 {
		found = mail.MoreMX
	}
	o.MoreErrno |= found
	if err.Kind == smtpclient.Connect && err.Errno == syscall.ETIMEDOUT {
		o.MoreErrno |= mail.MoreConnectTimeout
	}
	if err.Kind == smtpclient.Refused && !err.Reply.Permanent() {
		o.Errno, o.MoreErrno = 0, found
	}
	switch {
	case err.Kind == smtpclient.Connect, err.Kind == smtpclient.Vetoed, err.Kind == smtpclient.Timeout && err.Connecting, err.Kind == smtpclient.AuthFailure, err.Kind == smtpclient.Setup:
	default:
		o.Host = h
	}
	return o
}
