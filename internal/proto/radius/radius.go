// Package radius is the client of RFC 2865 that asks whether a user's password is right: an Access-Request by UDP, with the
// Message-Authenticator of RFC 3579 section 3.2.
//
// Trust: answers come from the network; only those that know the shared secret are heard. Everything read is bounded by a datagram.
package radius

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"errors"
)

// The codes and attributes used.
const (
	codeRequest, codeAccept, codeReject, codeChallenge = 1, 2, 3, 11

	attributeUserName, attributePassword, attributeServiceType, attributeIdentifier, attributeMessageAuthenticator = 1, 2, 6, 32, 80

	authenticateOnly = 8
	headerSize       = 20
	maxPacket        = 4096
)

// Request is one question.
type Request struct {
	User, Password string
	// NAS is the NAS-Identifier: who asks.
	NAS string
	// ID tells requests on one socket apart; Authenticator is 16 random bytes.
	ID            byte
	Authenticator [16]byte
}

// Errors of requests and answers.
var (
	ErrTooLong = errors.New("radius: user name or password is too long")
	ErrForged  = errors.New("radius: answer without the shared secret")
)

// Packet writes the request (sections 3 and 5), for the server with this secret.
func (r *Request) Packet(secret string) ([]byte, error) {
	if len(r.User) > 253 || len(r.Password) > 128 || len(r.NAS) > 253 {
		return nil, ErrTooLong
	}
	p := append([]byte{codeRequest, r.ID, 0, 0}, r.Authenticator[:]...)
	mac := len(p) + 2
	p = attribute(p, attributeMessageAuthenticator, make([]byte, 16))
	p = attribute(p, attributeUserName, []byte(r.User))
	p = attribute(p, attributePassword, hide(r.Password, secret, r.Authenticator[:]))
	p = attribute(p, attributeServiceType, []byte{0, 0, 0, authenticateOnly})
	if r.NAS != "" {
		p = attribute(p, attributeIdentifier, []byte(r.NAS))
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	copy(p[mac:], messageAuthenticator(p, secret))
	return p, nil
}

func attribute(p []byte, kind byte, value []byte) []byte {
	return append(append(p, kind, byte(len(value)+2)), value...)
}

// hide hides a password (section 5.2).
func hide(password, secret string, vector []byte) []byte {
	out := make([]byte, max(16, (len(password)+15)/16*16))
	copy(out, password)
	for i := 0; i < len(out); i += 16 {
		h := md5.New()
		h.Write([]byte(secret))
		h.Write(vector)
		for j, c := range h.Sum(nil) {
			out[i+j] ^= c
		}
		vector = out[i : i+16]
	}
	return out
}

func messageAuthenticator(p []byte, secret string) []byte {
	h := hmac.New(md5.New, []byte(secret))
	h.Write(p)
	return h.Sum(nil)
}

// Accepted reads an answer to the request. An error says that the datagram is none: it is ignored, and the true answer may still come.
func (r *Request) Accepted(p []byte, secret string) (bool, error) {
	if len(p) < headerSize || len(p) > maxPacket || p[1] != r.ID {
		return false, ErrForged
	}
	length := int(binary.BigEndian.Uint16(p[2:]))
	if length < headerSize || length > len(p) {
		return false, ErrForged
	}
	p = p[:length]
	h := md5.New()
	h.Write(p[:4])
	h.Write(r.Authenticator[:])
	h.Write(p[headerSize:])
	h.Write([]byte(secret))
	if !hmac.Equal(h.Sum(nil), p[4:headerSize]) || !r.attributesHold(p, secret) {
		return false, ErrForged
	}
	switch p[0] {
	case codeAccept:
		return true, nil
	case codeReject, codeChallenge: // nobody is there to answer a challenge
		return false, nil
	}
	return false, ErrForged
}

// attributesHold checks the attributes' lengths and, if there is one, the Message-Authenticator.
func (r *Request) attributesHold(p []byte, secret string) bool {
	for at := headerSize; at < len(p); {
		if at+2 > len(p) || p[at+1] < 2 || at+int(p[at+1]) > len(p) {
			return false
		}
		if p[at] == attributeMessageAuthenticator {
			if p[at+1] != 18 {
				return false
			}
			copied := append([]byte(nil), p...)
			copy(copied[4:], r.Authenticator[:])
			clear(copied[at+2 : at+18])
			if !hmac.Equal(messageAuthenticator(copied, secret), p[at+2:at+18]) {
				return false
			}
		}
		at += int(p[at+1])
	}
	return true
}
