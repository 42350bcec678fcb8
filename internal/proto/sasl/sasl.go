// Package sasl computes the messages of the SASL mechanisms that need nothing but a hash: PLAIN (RFC 4616), LOGIN (an expired
// draft), CRAM-MD5 (RFC 2195) and EXTERNAL (RFC 4422 appendix A), for client and server, and the base64 of SMTP AUTH (RFC 4954
// section 4). It checks no password: the caller knows the user's.
//
// Trust: responses come from clients, challenges from servers, before anybody is authenticated.
package sasl

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// MaxResponse is the longest decoded response, in bytes, that DecodeResponse accepts (RFC 4954 section 4: lines of 12288
// characters).
const MaxResponse = 12288 / 4 * 3

// Errors of this package.
var (
	// ErrBase64 says that a line is not base64 as RFC 4954 wants it.
	ErrBase64 = errors.New("invalid base64 data")
	// ErrCancelled says that the client sent "*", which cancels the exchange.
	ErrCancelled = errors.New("authentication cancelled")
	// ErrMalformed says that a message of a mechanism has the wrong form.
	ErrMalformed = errors.New("malformed authentication data")
)

// DecodeResponse decodes a line that a client sends after AUTH or a challenge: "*" is ErrCancelled, an empty line an empty
// response.
func DecodeResponse(line string) ([]byte, error) {
	if line == "*" {
		return nil, ErrCancelled
	}
	return decode(line)
}

// DecodeInitial decodes the initial response that stands on the AUTH line: "=" is an empty one (RFC 4954 section 4).
func DecodeInitial(word string) ([]byte, error) {
	if word == "=" {
		return nil, nil
	}
	if word == "" {
		return nil, ErrBase64
	}
	return decode(word)
}

func decode(s string) ([]byte, error) {
	if base64.StdEncoding.DecodedLen(len(s)) > MaxResponse+3 || strings.ContainsAny(s, "\r\n") {
		return nil, ErrBase64
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) > MaxResponse {
		return nil, ErrBase64
	}
	return b, nil
}

// Encode returns the base64 of a challenge or response for a line of its own.
func Encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// EncodeInitial returns the base64 of an initial response for the AUTH line: "=" for an empty one.
func EncodeInitial(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return Encode(b)
}

// Plain is the message of PLAIN.
type Plain struct {
	// Authorization is the identity to act as; empty stands for that of Authentication.
	Authorization string
	// Authentication and Password are the user's.
	Authentication, Password string
}

// Encode returns the client's message: the three strings separated by NULs (RFC 4616 section 2).
func (p Plain) Encode() []byte {
	return []byte(p.Authorization + "\x00" + p.Authentication + "\x00" + p.Password)
}

// ParsePlain reads the client's message. Authentication identity and password must not be empty; the error is ErrMalformed.
func ParsePlain(b []byte) (Plain, error) {
	parts := strings.Split(string(b), "\x00")
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return Plain{}, ErrMalformed
	}
	return Plain{parts[0], parts[1], parts[2]}, nil
}

// Prompts of LOGIN, before base64.
const (
	LoginUser     = "Username:"
	LoginPassword = "Password:"
)

// LoginResponse is the client's answer to the n-th challenge of LOGIN, counted from 0: user name, then password. The text of
// the prompts differs between servers and is ignored.
func LoginResponse(n int, user, password string) ([]byte, error) {
	switch n {
	case 0:
		return []byte(user), nil
	case 1:
		return []byte(password), nil
	}
	return nil, ErrMalformed
}

// CRAMChallenge makes a challenge of CRAM-MD5: "<number.time@host>" (RFC 2195 section 2). The number should be random.
func CRAMChallenge(number uint64, now time.Time, host string) string {
	return "<" + strconv.FormatUint(number, 10) + "." + strconv.FormatInt(now.Unix(), 10) + "@" + host + ">"
}

// CRAMDigest returns the digest of CRAM-MD5 in lower-case hexadecimal: HMAC-MD5 of the challenge with the secret as key.
func CRAMDigest(challenge, secret string) string {
	h := hmac.New(md5.New, []byte(secret))
	h.Write([]byte(challenge))
	return hex.EncodeToString(h.Sum(nil))
}

// CRAMResponse returns the client's response to a challenge: user name, space, digest.
func CRAMResponse(challenge, user, secret string) []byte {
	return []byte(user + " " + CRAMDigest(challenge, secret))
}

// ParseCRAM divides a client's response into user name and digest. The name may hold spaces, the digest has 32 hexadecimal
// digits.
func ParseCRAM(response []byte) (user, digest string, err error) {
	s := string(response)
	i := strings.LastIndexByte(s, ' ')
	if i < 1 || len(s)-i-1 != 2*md5.Size {
		return "", "", ErrMalformed
	}
	if _, err := hex.DecodeString(s[i+1:]); err != nil {
		return "", "", ErrMalformed
	}
	return s[:i], s[i+1:], nil
}

// CheckCRAM reports whether digest is the right one for challenge and secret, in time that does not depend on where they differ.
func CheckCRAM(challenge, secret, digest string) bool {
	want := CRAMDigest(challenge, secret)
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(digest))) == 1
}

// ParseExternal reads the client's message of EXTERNAL: the identity to act as, empty for the one of the connection. NUL in it is
// ErrMalformed.
func ParseExternal(b []byte) (string, error) {
	s := string(b)
	if strings.IndexByte(s, 0) >= 0 {
		return "", ErrMalformed
	}
	return s, nil
}
