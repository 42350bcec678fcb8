package smtp

import (
	"errors"
	"strings"
	"syscall"

	"exigo/internal/mail"
	"exigo/internal/transport"
)

// retryText is the text of a retry record.
func (d *delivery) retryText(h *mail.Host, o mail.Outcome) string {
	text := "H=" + d.label(h)
	switch {
	case o.Message != "":
		return text + ": " + o.Message
	case o.Errno > 0:
		words := syscall.Errno(o.Errno).Error()
		return strings.ToUpper(words[:1]) + words[1:]
	}
	return text
}

func (d *delivery) serialize(h *mail.Host) (release func(), ok bool, problem *transport.Error) {
	none := func() {}
	yes, err := d.in(d.settings.SerializeHosts, h, "serialize_hosts")
	if err != nil {
		var te *transport.Error
		errors.As(err, &te)
		return none, false, te
	}
	if !yes || d.services.Serialize == nil {
		return none, true, nil
	}
	release, ok = d.services.Serialize(d.ctx, "host-serialize-"+h.Name)
	if !ok {
		return none, false, nil
	}
	return release, true, nil
}
