package builtin

import (
	"slices"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/proto/authres"
)

// evalAuthResults writes what is known of the message as RFC 8601 says (spec 11.5): what the session tells, then the verdicts of features, each on a
// line of its own.
func evalAuthResults(s *expand.Scope, args []expand.Value) (expand.Value, error) {
	h := authres.Header{ID: args[0].S}
	verdicts := sessionVerdicts(s)
	if s.Message != nil {
		own := len(verdicts)
		verdicts = append(verdicts, s.Message.Verdicts...)
		slices.SortStableFunc(verdicts[own:], func(a, b mail.Verdict) int { return rank(a.Method) - rank(b.Method) })
	}
	for _, v := range verdicts {
		h.Results = append(h.Results, authResult(v))
	}
	return expand.Value{S: h.Field(), Tainted: len(verdicts) > 0 || args[0].Tainted}, nil
}

// authResult is a verdict as it is written.
func authResult(v mail.Verdict) authres.Result {
	r := authres.Result{Method: v.Method, Result: v.Result, Comment: v.Comment, Reason: v.Reason}
	// DKIM's reasons are long.
	r.Break = v.Method == "dkim" && v.Comment != "" && v.Result != "policy"
	for _, p := range v.Properties {
		r.Properties = append(r.Properties, authres.Property(p))
	}
	return r
}

// rank is the order of methods; others stand behind these.
func rank(method string) int {
	order := []string{"spf", "dkim", "dmarc", "arc"}
	if i := slices.Index(order, method); i >= 0 {
		return i
	}
	return len(order)
}

// sessionVerdicts tells who submitted a message that did not come by SMTP, else whether the client has a name and how it authenticated.
func sessionVerdicts(s *expand.Scope) (list []mail.Verdict) {
	c := s.Session
	if c == nil {
		return nil
	}
	if s.Message != nil && c.Local && !c.SMTP && !c.Batch && !strings.Contains(s.Message.Protocol, "smtp") {
		v := mail.Verdict{Method: "local", Result: "pass", Comment: "non-smtp, " + s.Settings().PrimaryHostname}
		if c.AuthID != "" {
			v.Properties = []mail.Property{{Name: "u", Value: c.AuthID}}
		}
		return []mail.Verdict{v}
	}
	if c.Host.IsValid() && c.NameLookup != mail.NameNotTried {
		v := mail.Verdict{Method: "iprev", Result: "pass", Comment: c.HostName, Properties: []mail.Property{{Type: "smtp", Name: "remote-ip", Value: c.Host.Unmap().String()}}}
		switch c.NameLookup {
		case mail.NameFailed:
			v.Result = "fail"
		case mail.NameDeferred:
			v.Result = "temperror"
		}
		list = append(list, v)
	}
	if c.Authenticator != "" {
		v := mail.Verdict{Method: "auth", Result: "pass", Comment: c.AuthPublicName}
		kind := "smtp"
		if strings.EqualFold(v.Comment, "tls") {
			kind = "x509"
		}
		if c.AuthID != "" {
			v.Properties = []mail.Property{{Type: kind, Name: "auth", Value: c.AuthID}}
		}
		list = append(list, v)
	}
	return list
}
