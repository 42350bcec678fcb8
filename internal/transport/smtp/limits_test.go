package smtp

import (
	"testing"

	"exigo/internal/mail"
	"exigo/internal/proto/smtp"
	"exigo/internal/smtpclient"
)

func TestServerLimits(t *testing.T) {
	var addrs []*mail.Address
	for _, domain := range []string{"a", "a", "b", "a", "c"} {
		addrs = append(addrs, &mail.Address{Domain: domain})
	}
	for _, row := range []struct {
		greeting string
		most     int
		want     serverLimits
		batch    int
	}{
		{"SIZE 5", 0, serverLimits{}, 5},
		{"LIMITS", 3, serverLimits{}, 3},
		{"LIMITS MAILMAX=5 RCPTMAX=1", 0, serverLimits{messages: 5, recipients: 1}, 1},
		{"LIMITS rcptmax=4", 3, serverLimits{recipients: 4}, 3},
		{"LIMITS RCPTMAX=2", 3, serverLimits{recipients: 2}, 2},
		{"LIMITS RCPTDOMAINMAX=1 X=7", 0, serverLimits{domains: 1}, 2},
		{"LIMITS RCPTDOMAINMAX=2", 0, serverLimits{domains: 2}, 4},
		{"LIMITS MAILMAX=0 RCPTMAX=-1 RCPTDOMAINMAX=x", 0, serverLimits{}, 5},
	} {
		c := &smtpclient.Conn{Extensions: smtp.ParseExtensions(smtp.Reply{Code: 250, Lines: []string{"host", row.greeting}})}
		l := limitsOf(c)
		if got := l.batch(addrs, row.most); l != row.want || got != row.batch {
			t.Errorf("%s: %+v, %d at a time", row.greeting, l, got)
		}
		c.Messages = 4
		if l.exhausted(c) {
			t.Errorf("%s: exhausted too soon", row.greeting)
		}
		if c.Messages++; l.exhausted(c) != (l.messages == 5) {
			t.Errorf("%s: after 5 messages: %v", row.greeting, l.exhausted(c))
		}
	}
}
