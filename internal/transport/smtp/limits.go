package smtp

import (
	"strconv"
	"strings"

	"exigo/internal/mail"
	"exigo/internal/smtpclient"
)

// serverLimits are what a server announced (RFC 9422); 0 is none.
type serverLimits struct {
	messages, recipients, domains int
}

// limitsOf reads the keyword LIMITS of the server's last greeting. What is no number above 0 counts as not announced.
func limitsOf(c *smtpclient.Conn) (l serverLimits) {
	text, _ := c.Extensions.Argument("LIMITS")
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(value)
		if err != nil || n <= 0 {
			continue
		}
		switch strings.ToUpper(name) {
		case "MAILMAX":
			l.messages = n
		case "RCPTMAX":
			l.recipients = n
		case "RCPTDOMAINMAX":
			l.domains = n
		}
	}
	return l
}

// exhausted tells whether the connection may carry no further message.
func (l serverLimits) exhausted(c *smtpclient.Conn) bool {
	return l.messages > 0 && c.Messages >= l.messages
}

// batch is how many of the addresses one copy may have, with most as our own limit (0 is none).
func (l serverLimits) batch(addrs []*mail.Address, most int) int {
	n := len(addrs)
	for _, limit := range []int{most, l.recipients} {
		if limit > 0 {
			n = min(n, limit)
		}
	}
	if l.domains == 0 {
		return n
	}
	domains := make(map[string]bool)
	for i, a := range addrs[:n] {
		if domains[a.Domain] = true; len(domains) > l.domains {
			return i
		}
	}
	return n
}
