// Package crammd5 is the authenticator for CRAM-MD5 (spec chapter 35, RFC 2195).
//
// Trust: responses come from clients nobody knows yet, challenges from servers.
package crammd5

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"exigo/internal/auth"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/option"
	"exigo/internal/proto/sasl"
)

type settings struct {
	name, secret option.Expanded
	serverSecret option.Expanded
}

// Driver returns the authenticator.
func Driver() *auth.Driver {
	return &auth.Driver{
		Name: "cram_md5",
		Doc:  "Proves knowledge of a secret by the hash of a challenge.",
		Options: option.Table[settings]{Scope: config.Authenticator.PrivateScope("cram_md5"), Rows: []option.Row[settings]{
			{Name: "client_name", Field: func(s *settings) any { return &s.name }, Doc: "User name of a client; the primary host name by default."},
			{Name: "client_secret", Field: func(s *settings) any { return &s.secret }, Doc: "Secret of a client.", Secure: true},
			{Name: "server_secret", Field: func(s *settings) any { return &s.serverSecret }, Doc: "Secret of the user $auth1.", Secure: true},
		}},
		IsServer: func(a *auth.Authenticator) bool { return option.Of[settings](a.Options).serverSecret != "" },
		IsClient: func(a *auth.Authenticator) bool { return option.Of[settings](a.Options).secret != "" },
		Server:   server,
		Client:   client,
	}
}

// challenge makes a challenge nobody can foresee.
func challenge(x *auth.ServerExchange) (string, error) {
	if fixed := x.World.Quirks.CRAMChallenge; fixed != "" {
		return fixed, nil
	}
	var number [8]byte
	if _, err := x.World.Random.Read(number[:]); err != nil {
		return "", err
	}
	return sasl.CRAMChallenge(binary.BigEndian.Uint64(number[:])>>1, x.World.Clock.Now(), x.Hostname), nil
}

func server(_ context.Context, x *auth.ServerExchange) (auth.Result, string) {
	if x.Initial != "" {
		return auth.Unexpected, ""
	}
	text, err := challenge(x)
	if err != nil {
		return auth.Defer, err.Error()
	}
	line, err := x.Challenge([]byte(text))
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
	user, digest, err := sasl.ParseCRAM(data)
	if err != nil {
		return auth.Fail, ""
	}
	x.SetValues(user)
	secret, err := x.Engine.Expand(x.Scope, string(option.Of[settings](x.Authenticator.Options).serverSecret))
	if err != nil {
		if errors.Is(err, expand.ErrForced) {
			return auth.Fail, ""
		}
		return auth.Defer, err.Error()
	}
	if !sasl.CheckCRAM(text, secret.S, digest) {
		return auth.Fail, ""
	}
	return x.Condition(x.Authenticator.Generic.ServerCondition, auth.OK)
}

func client(_ context.Context, x *auth.ClientExchange) (auth.Result, error) {
	o := option.Of[settings](x.Authenticator.Options)
	secret, result, err := x.Expand(string(o.secret))
	if result != auth.OK {
		return result, err
	}
	name := x.Hostname
	if o.name != "" {
		if name, result, err = x.Expand(string(o.name)); result != auth.OK {
			return result, err
		}
	}
	code, reply, err := x.Send("AUTH " + x.Authenticator.PublicName)
	if err != nil {
		return auth.Defer, err
	}
	if code/100 != 3 {
		return auth.ByCode(code, reply)
	}
	data, err := sasl.DecodeResponse(reply)
	if err != nil {
		x.Send("*")
		return auth.Cancelled, fmt.Errorf("Invalid base64 string in server response \"%d %s\"", code, reply)
	}
	code, reply, err = x.Send(sasl.Encode(sasl.CRAMResponse(string(data), name, secret)))
	if err != nil {
		return auth.Defer, err
	}
	return auth.ByCode(code, reply)
}
