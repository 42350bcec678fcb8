package smtpserver

import (
	"strconv"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/mail"
	"exigo/internal/proto/smtp"
)

// coreExtensions are the rows of the extensions that are no rooms.
func coreExtensions() []*Extension {
	return []*Extension{
		{Name: "SIZE", Order: OrderSize, Doc: "Message size declaration (RFC 1870).",
			Offer: func(s *Session) (string, bool) {
				if s.sizeLimit > 0 {
					return "SIZE " + strconv.FormatInt(s.sizeLimit, 10), true
				}
				return "SIZE", true
			},
			Mail: []Parameter{{Name: "SIZE", Set: setSize}}},
		{Name: "LIMITS", Order: OrderLimits, Doc: "Limits of the session (RFC 9422).", Offer: offerLimits},
		{Name: "8BITMIME", Order: Order8BitMIME, Doc: "8-bit bodies (RFC 6152).",
			Offer: func(s *Session) (string, bool) { return "8BITMIME", s.main.Accept8BITMIME },
			Mail:  []Parameter{{Name: "BODY", Offered: func(*Session) bool { return true }, Set: setBody}}}, // taken from who was not offered it, too
		{Name: "DSN", Order: OrderDSN, Doc: "Delivery status notifications (RFC 3461).",
			Offer: func(s *Session) (string, bool) {
				s.dsn = s.matches(string(s.main.DSNAdvertiseHosts))
				return "DSN", s.dsn
			},
			Mail: []Parameter{{Name: "RET", Offered: offeredDSN, Set: setRet}, {Name: "ENVID", Offered: offeredDSN, Set: setEnvID}},
			Rcpt: []Parameter{{Name: "ORCPT", Offered: offeredDSN, Set: setORCPT}, {Name: "NOTIFY", Offered: offeredDSN, Set: setNotify}}},
		{Name: "ETRN", Order: OrderETRN, Doc: "Remote queue start (RFC 1985).",
			Offer: func(s *Session) (string, bool) { return "ETRN", s.main.ACLSMTPETRN != "" }},
		{Name: "VRFY", Order: OrderVRFY, Doc: "Verification of addresses.",
			Offer: func(s *Session) (string, bool) { return "VRFY", s.main.ACLSMTPVRFY != "" }},
		{Name: "EXPN", Order: OrderEXPN, Doc: "Expansion of mailing lists.",
			Offer: func(s *Session) (string, bool) { return "EXPN", s.main.ACLSMTPEXPN != "" }},
		{Name: "PIPELINING", Order: OrderPipelining, Doc: "Command pipelining (RFC 2920).",
			Offer: func(s *Session) (string, bool) {
				s.pipelining = !s.noPipelining && s.matches(string(s.main.PipeliningAdvertiseHosts))
				return "PIPELINING", s.pipelining
			}},
		{Name: "AUTH", Order: OrderAuth, Doc: "Authentication (RFC 4954).", Offer: (*Session).offerAuth,
			Mail: []Parameter{{Name: "AUTH", Set: setAuth}}},
		{Name: "CHUNKING", Order: OrderChunking, Doc: "Messages in chunks (RFC 3030).",
			Offer: func(s *Session) (string, bool) {
				s.chunking = s.matches(string(s.main.ChunkingAdvertiseHosts))
				return "CHUNKING", s.chunking
			}},
		{Name: "STARTTLS", Order: OrderSTARTTLS, Doc: "TLS (RFC 3207).", Offer: (*Session).offerTLS},
		{Name: "SMTPUTF8", Order: OrderSMTPUTF8, Doc: "Internationalised addresses (RFC 6531).",
			Offer: func(s *Session) (string, bool) {
				list := string(s.main.SMTPUTF8AdvertiseHosts)
				if s.svc.World.Quirks.NoSMTPUTF8 && !s.svc.Config.IsSet("smtputf8_advertise_hosts") {
					list = ""
				}
				s.utf8 = s.main.Accept8BITMIME && s.matches(list) // RFC 6531, 3.1: together with 8BITMIME only
				return "SMTPUTF8", s.utf8
			},
			Mail: []Parameter{{Name: "SMTPUTF8", Offered: func(s *Session) bool { return s.utf8 }, Set: setUTF8}}},
	}
}

func offeredDSN(s *Session) bool { return s.dsn }

// offerLimits announces the numbers of messages and recipients (RFC 9422).
func offerLimits(s *Session) (string, bool) {
	if s.main.LimitsAdvertiseHosts == "" || !s.matches(string(s.main.LimitsAdvertiseHosts)) {
		return "", false
	}
	text := "LIMITS"
	if s.maxPerConnection > 0 {
		text += " MAILMAX=" + strconv.Itoa(s.maxPerConnection)
	}
	if n, err := s.expandInt(string(s.main.RecipientsMax)); err == nil && n > 0 {
		text += " RCPTMAX=" + strconv.FormatInt(n, 10)
	}
	return text, text != "LIMITS"
}

func setSize(s *Session, value string, hasValue bool) *Refusal {
	if !hasValue {
		return &Refusal{Unknown: true}
	}
	n, err := smtp.ParseSize(value)
	if err != nil { // an unusable size says nothing, as with Exim; digits too many are too big
		if len(value) > 18 && strings.Trim(value, "0123456789") == "" {
			n = 1<<63 - 1
		}
	}
	s.declaredSize = n
	return nil
}

func setBody(s *Session, value string, hasValue bool) *Refusal {
	switch {
	case !hasValue:
		return &Refusal{Unknown: true}
	case strings.EqualFold(value, "8BITMIME"):
		s.msg.BodyType = 8
	case strings.EqualFold(value, "7BIT"):
		s.msg.BodyType = 7
	default:
		return syntaxError("invalid data for BODY")
	}
	return nil
}

func setRet(s *Session, value string, hasValue bool) *Refusal {
	if !hasValue {
		return &Refusal{Unknown: true}
	}
	if s.msg.Ret != "" {
		return syntaxError("RET can be specified once only")
	}
	switch {
	case strings.EqualFold(value, "HDRS"):
		s.msg.Ret = "HDRS"
	case strings.EqualFold(value, "FULL"):
		s.msg.Ret = "FULL"
	case value == "":
	default:
		return syntaxError("Value for RET is invalid")
	}
	return nil
}

func setEnvID(s *Session, value string, hasValue bool) *Refusal {
	if !hasValue {
		return &Refusal{Unknown: true}
	}
	if s.msg.EnvID != "" {
		return syntaxError("ENVID can be specified once only")
	}
	s.msg.EnvID = value
	return nil
}

func setUTF8(s *Session, _ string, hasValue bool) *Refusal {
	if hasValue {
		return &Refusal{Unknown: true}
	}
	s.msg.SMTPUTF8 = true
	return nil
}

func setORCPT(s *Session, value string, hasValue bool) *Refusal {
	if !hasValue {
		return &Refusal{Unknown: true}
	}
	if s.rcptORCPT != "" {
		return syntaxError("ORCPT can be specified once only")
	}
	s.rcptORCPT = value
	return nil
}

func setNotify(s *Session, value string, hasValue bool) *Refusal {
	if !hasValue {
		return &Refusal{Unknown: true}
	}
	if s.rcptNotifySet {
		return syntaxError("NOTIFY can be specified once only")
	}
	s.rcptNotifySet = true
	if strings.EqualFold(value, "NEVER") {
		s.rcptNotify = mail.NotifyNever
		return nil
	}
	for value != "" {
		word, rest, _ := strings.Cut(value, ",")
		switch {
		case strings.EqualFold(word, "SUCCESS"):
			s.rcptNotify |= mail.NotifySuccess
		case strings.EqualFold(word, "FAILURE"):
			s.rcptNotify |= mail.NotifyFailure
		case strings.EqualFold(word, "DELAY"):
			s.rcptNotify |= mail.NotifyDelay
		default:
			s.rcptNotify = 0
			return syntaxError("Invalid value for NOTIFY parameter")
		}
		value = rest
	}
	return nil
}

// setAuth takes the AUTH parameter of MAIL (spec 33.2). Whether the value is believed is decided before the ACL for MAIL runs.
func setAuth(s *Session, value string, hasValue bool) *Refusal {
	if !hasValue {
		return &Refusal{Unknown: true}
	}
	if value == "<>" {
		return nil
	}
	sender, err := smtp.DecodeXtext(value)
	if err != nil {
		return syntaxError("invalid data for AUTH")
	}
	if s.main.ACLSMTPMailAuth == "" {
		reason := "client not authenticated"
		if s.noun.Authenticator != "" {
			s.noun.AuthSender = sender
			reason = s.mailAuthCondition()
		}
		if reason != "" {
			s.noun.AuthSender = ""
			s.logMain("ignoring AUTH=" + s.printable(value) + " from " + s.who(true) + " (" + reason + ")")
		}
		return nil
	}
	s.noun.AuthSender = sender
	outcome := s.runACL(acl.MailAuth, string(s.main.ACLSMTPMailAuth))
	switch outcome.Verdict {
	case acl.OK:
		if s.noun.Authenticator == "" {
			return nil
		}
		if reason := s.mailAuthCondition(); reason != "" {
			s.noun.AuthSender = ""
			s.logMain("ignoring AUTH=" + s.printable(value) + " from " + s.who(true) + " (" + reason + ")")
		}
	case acl.Fail, acl.FailDrop, acl.Discard:
		s.noun.AuthSender = ""
		s.logMain("ignoring AUTH=" + s.printable(value) + " from " + s.who(true) + " (rejected by ACL)")
	case acl.Defer:
		s.noun.AuthSender = ""
		s.refuse(acl.MailAuth, outcome, "")
		return &Refusal{Logged: true}
	default:
		s.noun.AuthSender = ""
		s.refuse(acl.MailAuth, outcome, "")
		return &Refusal{Logged: true}
	}
	return nil
}
