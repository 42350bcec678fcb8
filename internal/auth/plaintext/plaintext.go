// Package plaintext is the authenticator for PLAIN, LOGIN and their like (spec chapter 34): strings that client and server exchange
// as they are, in base64, and a condition that decides about them.
//
// Trust: the strings come from clients nobody knows yet, prompts from servers.
package plaintext

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"exigo/internal/auth"
	"exigo/internal/config"
	"exigo/internal/option"
	"exigo/internal/proto/sasl"
)

type settings struct {
	prompts       option.StringList
	send          option.Expanded
	ignoreInvalid bool
}

// Driver returns the authenticator.
func Driver() *auth.Driver {
	return &auth.Driver{
		Name: "plaintext",
		Doc:  "Exchanges strings as they are: PLAIN and LOGIN.",
		Options: option.Table[settings]{Scope: config.Authenticator.PrivateScope("plaintext"), Rows: []option.Row[settings]{
			{Name: "client_ignore_invalid_base64", Field: func(s *settings) any { return &s.ignoreInvalid }, Doc: "A client takes a prompt that is no base64 for an empty one."},
			{Name: "client_send", Field: func(s *settings) any { return &s.send }, Doc: "Strings that a client sends; ^ stands for NUL."},
			{Name: "server_prompts", Field: func(s *settings) any { return &s.prompts }, Doc: "Prompts that a server sends."},
		}},
		IsServer: func(a *auth.Authenticator) bool { return a.Generic.ServerCondition != "" },
		IsClient: func(a *auth.Authenticator) bool { return option.Of[settings](a.Options).send != "" },
		Server:   server,
		Client:   client,
	}
}

// maxStrings bounds how many strings a client may give.
const maxStrings = 9

// server collects strings until there are as many as prompts, and asks server_condition.
func server(_ context.Context, x *auth.ServerExchange) (auth.Result, string) {
	var prompts []string
	if text := option.Of[settings](x.Authenticator.Options).prompts; text != "" {
		v, err := x.Engine.Expand(x.Scope, string(text))
		if err != nil {
			return auth.Defer, err.Error()
		}
		prompts = option.SplitList(v.S)
	}
	var values []string
	if x.Initial != "" {
		data, err := sasl.DecodeInitial(x.Initial)
		if err != nil {
			return auth.BadBase64, ""
		}
		values = add(values, data)
		x.SetValues(values...)
	}
	for len(values) < len(prompts) {
		line, err := x.Challenge([]byte(prompts[len(values)]))
		if err != nil {
			return auth.Lost, ""
		}
		data, err := sasl.DecodeResponse(line)
		switch {
		case errors.Is(err, sasl.ErrCancelled):
			return auth.Cancelled, ""
		case err != nil:
			return auth.BadBase64, ""
		}
		values = add(values, data)
		x.SetValues(values...)
	}
	return x.Condition(x.Authenticator.Generic.ServerCondition, auth.Fail)
}

// add appends the NUL-separated strings of a response.
func add(values []string, data []byte) []string {
	for _, part := range strings.Split(string(data), "\x00") {
		if len(values) == maxStrings {
			break
		}
		values = append(values, part)
	}
	return values
}

// client sends the strings of client_send, each after the prompt for it.
func client(_ context.Context, x *auth.ClientExchange) (auth.Result, error) {
	o := option.Of[settings](x.Authenticator.Options)
	items := splitItems(string(o.send))
	var prompts []string
	for i, item := range items {
		text, result, err := x.Expand(item)
		if result != auth.OK {
			if i > 0 {
				cancel(x)
			}
			return result, err
		}
		data := sasl.Encode([]byte(unescape(text)))
		line := data
		if i == 0 {
			line = "AUTH " + x.Authenticator.PublicName
			if text != "" {
				line += " " + data
			}
		}
		code, reply, err := x.Send(line)
		if err != nil {
			return auth.Defer, err
		}
		if code/100 == 2 {
			return auth.OK, nil
		}
		if code/100 != 3 {
			return auth.ByCode(code, reply)
		}
		if i == len(items)-1 {
			break
		}
		prompt, err := sasl.DecodeResponse(strings.TrimSpace(reply))
		if err != nil {
			if !o.ignoreInvalid {
				cancel(x)
				return auth.Cancelled, fmt.Errorf("Invalid base64 string in server response \"%d %s\"", code, reply)
			}
			prompt = nil
		}
		prompts = append(prompts, string(prompt))
		x.SetPrompts(prompts)
	}
	cancel(x)
	return auth.Cancelled, fmt.Errorf("Too few items in client_send in %s authenticator", x.Authenticator.Name)
}

// cancel ends an exchange that cannot be finished (RFC 4954 section 4).
func cancel(x *auth.ClientExchange) { x.Send("*") }

// unescape turns ^ into NUL and ^^ into ^.
func unescape(text string) string {
	if strings.IndexByte(text, '^') < 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '^':
			b.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == '^':
			b.WriteByte('^')
			i++
		default:
			b.WriteByte(0)
		}
	}
	return b.String()
}

// splitItems divides the list before its items are expanded; empty items count, as in ": user : password".
func splitItems(text string) []string {
	separator := ":"
	trimmed := strings.TrimLeft(text, " \t\n")
	if strings.HasPrefix(trimmed, "<") && len(trimmed) > 1 {
		separator, text = trimmed[1:2], trimmed[2:]
	}
	text = strings.ReplaceAll(text, separator+separator, "\x00")
	items := strings.Split(text, separator)
	for i := range items {
		items[i] = strings.ReplaceAll(strings.TrimSpace(items[i]), "\x00", separator)
	}
	return items
}
