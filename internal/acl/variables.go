package acl

import (
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// Variables returns the rows of the variables that ACLs own.
func Variables() []expand.Variable {
	rows := []expand.Variable{
		{Name: "acl_narg", Doc: "The number of arguments of the ACL at hand.", Get: func(s *expand.Scope) (mail.Value, error) {
			return mail.Value{S: strconv.Itoa(len(s.ACLArguments))}, nil
		}},
		{Name: "headers_added", Doc: "The header lines that ACLs have asked to be added so far.", Get: headersAdded},
	}
	for i := 1; i <= 9; i++ {
		rows = append(rows, expand.Variable{Name: "acl_arg" + strconv.Itoa(i), Doc: "An argument of the ACL at hand.",
			Get: func(s *expand.Scope) (mail.Value, error) {
				if i > len(s.ACLArguments) {
					return mail.Value{}, nil
				}
				return s.ACLArguments[i-1], nil
			}})
	}
	for _, v := range [][2]string{
		{"acl_verify_message", "The text of a failed verification."},
		{"csa_status", "The result of verify = csa."},
		{"dnslist_domain", "The domain of the DNS list that the dnslists condition found something in."},
		{"dnslist_matched", "The key it found."},
		{"dnslist_text", "The text record that belongs to it."},
		{"dnslist_value", "The addresses it found."},
		{"host_data", "What a lookup in the hosts condition found."},
		{"recipient_verify_failure", "The kind of failure of the last recipient verification."},
		{"sender_address_data", "What address_data was at the end of a sender's verification."},
		{"sender_rate", "The rate that the ratelimit condition computed."},
		{"sender_rate_limit", "The limit it was given."},
		{"sender_rate_period", "The period it was given."},
		{"sender_verify_failure", "The kind of failure of the last sender verification."},
	} {
		name := v[0]
		rows = append(rows, expand.Variable{Name: name, Doc: v[1], Get: func(s *expand.Scope) (mail.Value, error) { return s.Extra[name], nil }})
	}
	return rows
}

// headersAdded is a list of the pending header lines in the order of the requests. Its separator is a newline, so that those within a
// header line are doubled.
func headersAdded(s *expand.Scope) (mail.Value, error) {
	if s.Message == nil {
		return mail.Value{}, nil
	}
	p := mail.Peek[Pending](&s.Message.Bag)
	if p == nil || len(p.Added) == 0 {
		return mail.Value{}, nil
	}
	lines := make([]string, len(p.Added))
	for i, h := range p.Added {
		lines[i] = strings.ReplaceAll(strings.TrimSuffix(h.Text, "\n"), "\n", "\n\n")
	}
	return mail.Taint(strings.Join(lines, "\n")), nil
}
