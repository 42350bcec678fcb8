// Package external is the authenticator for EXTERNAL (spec chapter 41, RFC 4422 appendix A): the client names an identity, and a
// condition decides by what is known otherwise, such as its certificate.
//
// Trust: the identity comes from clients nobody knows yet.
package external

import (
	"context"
	"errors"

	"exigo/internal/auth"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/option"
	"exigo/internal/proto/sasl"
)

type settings struct {
	send           option.Expanded
	param2, param3 option.Expanded
}

// Driver returns the authenticator.
func Driver() *auth.Driver {
	return &auth.Driver{
		Name: "external",
		Doc:  "Takes an identity and believes it by means outside of SMTP.",
		Options: option.Table[settings]{Scope: config.Authenticator.PrivateScope("external"), Rows: []option.Row[settings]{
			{Name: "client_send", Field: func(s *settings) any { return &s.send }, Doc: "Identity that a client asserts."},
			{Name: "server_param2", Field: func(s *settings) any { return &s.param2 }, Doc: "Expanded to $auth2."},
			{Name: "server_param3", Field: func(s *settings) any { return &s.param3 }, Doc: "Expanded to $auth3."},
		}},
		IsServer: func(a *auth.Authenticator) bool { return a.Generic.ServerCondition != "" },
		IsClient: func(a *auth.Authenticator) bool { return option.Of[settings](a.Options).send != "" },
		Server:   server,
		Client:   client,
	}
}

func server(_ context.Context, x *auth.ServerExchange) (auth.Result, string) {
	var data []byte
	var err error
	if x.Initial != "" {
		data, err = sasl.DecodeInitial(x.Initial)
	} else {
		line, lost := x.Challenge(nil)
		if lost != nil {
			return auth.Lost, ""
		}
		data, err = sasl.DecodeResponse(line)
	}
	switch {
	case errors.Is(err, sasl.ErrCancelled):
		return auth.Cancelled, ""
	case err != nil:
		return auth.BadBase64, ""
	}
	values := []string{string(data)}
	x.SetValues(values...)
	o := option.Of[settings](x.Authenticator.Options)
	for _, param := range []option.Expanded{o.param2, o.param3} {
		if param == "" {
			if o.param3 == "" {
				break
			}
			values = append(values, "")
			continue
		}
		v, err := x.Engine.Expand(x.Scope, string(param))
		if err != nil {
			if errors.Is(err, expand.ErrForced) {
				return auth.Fail, ""
			}
			return auth.Defer, err.Error()
		}
		values = append(values, v.S)
		x.SetValues(values...)
	}
	return x.Condition(x.Authenticator.Generic.ServerCondition, auth.Fail)
}

func client(_ context.Context, x *auth.ClientExchange) (auth.Result, error) {
	identity, result, err := x.Expand(string(option.Of[settings](x.Authenticator.Options).send))
	if result != auth.OK {
		return result, err
	}
	code, reply, err := x.Send("AUTH " + x.Authenticator.PublicName + " " + sasl.EncodeInitial([]byte(identity)))
	if err != nil {
		return auth.Defer, err
	}
	return auth.ByCode(code, reply)
}
