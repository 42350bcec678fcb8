// Package srs rewrites envelope senders so that forwarded mail passes SPF checks, and turns bounces back: the Sender Rewriting
// Scheme, in the form "SRS0=hash=time=domain=local" that signs with four hexadecimal digits of HMAC-MD5 and has a life of ten
// days. (There is no RFC; the scheme is described at www.open-spf.org/SRS/.)
//
// Trust: Decode reads recipients as SMTP clients give them; only a right hash makes them believed.
package srs

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"exigo/internal/proto/address"
)

const (
	prefix   = "SRS0="
	alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	days     = 1024 // time stamps wrap around after so many days
	lifetime = 10   // days
	hashLen  = 4
)

// Errors of Decode. With ErrHash and ErrExpired the address is returned as well: it is what the sender claims.
var (
	// ErrForm says that the local part is not of the form of SRS.
	ErrForm = errors.New("not an SRS address")
	// ErrHash says that the hash is wrong.
	ErrHash = errors.New("wrong SRS hash")
	// ErrExpired says that the time stamp is older than ten days, in the future, or malformed.
	ErrExpired = errors.New("SRS address expired")
)

// Encode returns the sender address in its rewritten form at domain. An empty sender, the sender of bounces, stays empty. The
// error is a *address.SyntaxError.
func Encode(secret, sender, domain string, now time.Time) (string, error) {
	if sender == "" {
		return "", nil
	}
	m, err := address.Extract(sender, address.Options{AllowLiterals: true, AllowNull: true, AllowUTF8: true})
	if err != nil || m.Address == "" {
		return "", err
	}
	local, quote := m.LocalPart(), ""
	if strings.Contains(local, `"`) {
		local, quote = strings.ReplaceAll(local, `"`, ""), `"`
	}
	return quote + prefix + hash(secret, sender) + "=" + stamp(now) + "=" + m.DomainPart() + "=" + local + quote +
		"@" + domain, nil
}

// Decode returns the original address of a local part made by Encode. With an empty secret neither hash nor time are checked.
// Errors are ErrForm, ErrHash and ErrExpired.
func Decode(secret, local string, now time.Time) (string, error) {
	if len(local) < len(prefix) || !strings.EqualFold(local[:len(prefix)], prefix) {
		return "", ErrForm
	}
	parts := strings.SplitN(local[len(prefix):], "=", 4)
	if len(parts) != 4 || parts[0] == "" || len(parts[1]) != 2 || !isStamp(parts[1]) {
		return "", ErrForm
	}
	domain, user := parts[2], parts[3]
	original := user + "@" + domain
	if needsQuotes(local) {
		original = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(user) + `"@` + domain
	}
	if secret == "" {
		return original, nil
	}
	if subtle.ConstantTimeCompare([]byte(parts[0]), []byte(hash(secret, original))) != 1 {
		return original, ErrHash
	}
	if !fresh(parts[1], now) {
		return original, ErrExpired
	}
	return original, nil
}

// hash is the start of the HMAC of an address as it was given, quotes included, in lower case.
func hash(secret, address string) string {
	h := hmac.New(md5.New, []byte(secret))
	h.Write([]byte(lowerASCII(address)))
	return hex.EncodeToString(h.Sum(nil))[:hashLen]
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func day(t time.Time) int { return int(t.Unix() / 86400 % days) }

// stamp is the day, modulo 1024, in two base32 digits.
func stamp(t time.Time) string {
	d := day(t)
	return string([]byte{alphabet[d>>5], alphabet[d&31]})
}

// isStamp reports whether both characters are base32 digits, of either case.
func isStamp(s string) bool {
	s = lowerASCII(s)
	return strings.IndexByte(alphabet, s[0]) >= 0 && strings.IndexByte(alphabet, s[1]) >= 0
}

// fresh reports whether a time stamp, in lower case as Encode writes it, is of today or of the ten days before.
func fresh(s string, now time.Time) bool {
	high, low := strings.IndexByte(alphabet, s[0]), strings.IndexByte(alphabet, s[1])
	if high < 0 || low < 0 {
		return false
	}
	return (day(now)-(high<<5|low)+days)%days <= lifetime
}

// needsQuotes reports whether the local part holds what must be quoted in an address (RFC 5322 section 3.2.3).
func needsQuotes(local string) bool {
	for i := 0; i < len(local); i++ {
		c := local[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case strings.IndexByte(".!#$%&'*+-/=?^_`{|}~", c) < 0:
			return true
		}
	}
	return false
}
