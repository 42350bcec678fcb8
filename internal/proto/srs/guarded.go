package srs

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// Guarded is the scheme as the libraries have it (Mail::SRS, libsrs_alt, postsrsd): HMAC-SHA1 in base64, and SRS1 for addresses that another forwarder
// has rewritten, which lead straight back to the first one.
type Guarded struct {
	// Secrets: the first signs, all verify.
	Secrets []string
	// HashLength is how many characters of the hash are written, HashMin how many must be there (0: HashLength). At most 27.
	HashLength, HashMin int
	// MaxAge is how many days an address is good.
	MaxAge int
	// NoHash and NoStamp leave these parts out.
	NoHash, NoStamp bool
}

// Limits and defaults of the scheme.
const (
	DefaultHashLength = 6
	DefaultMaxAge     = 31

	maxHash  = 27 // what base64 makes of 20 octets, without padding
	maxLocal = 1024
	upper    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// tagged takes "SRS0" or "SRS1" and the separator after it off a local part. rest begins with the separator, which is one of "=+-".
func tagged(local, tag string) (rest string, ok bool) {
	n := len(tag)
	if len(local) <= n || !strings.EqualFold(local[:n], tag) || strings.IndexByte("=+-", local[n]) < 0 {
		return "", false
	}
	return local[n:], true
}

// IsRewritten reports whether the local part has the look of an address that was rewritten.
func IsRewritten(local string) bool {
	_, zero := tagged(local, "SRS0")
	_, one := tagged(local, "SRS1")
	return zero || one
}

// Forward returns the sender's address rewritten into domain. The empty sender, senders of that very domain and addresses without a
// valid domain stay as they are.
func (g *Guarded) Forward(sender, domain string, now time.Time) string {
	at := strings.LastIndexByte(sender, '@')
	if at < 1 || domain == "" || strings.EqualFold(sender[at+1:], domain) || strings.Contains(sender[at+1:], "=") {
		return sender
	}
	local, host := sender[:at], sender[at+1:]
	if rest, ok := tagged(local, "SRS1"); ok {
		if parts := g.split(rest[1:], 2); parts != nil && parts[1] != "" {
			return g.join("SRS1", parts[1], parts[2]) + "@" + domain
		}
	}
	if rest, ok := tagged(local, "SRS0"); ok {
		return g.join("SRS1", host, rest) + "@" + domain
	}
	return g.zero(host, local, now) + "@" + domain
}

// Key makes the local part for an address that is kept in a database under key.
func (g *Guarded) Key(key string, now time.Time) string { return g.zero("", key, now) }

func (g *Guarded) zero(host, local string, now time.Time) string {
	if g.NoStamp {
		return g.join("SRS0", host, local)
	}
	d := day(now)
	return g.join("SRS0", string([]byte{upper[d>>5], upper[d&31]}), host, local)
}

// join writes a tag, the hash of the parts, and the parts.
func (g *Guarded) join(tag string, parts ...string) string {
	if !g.NoHash && len(g.Secrets) > 0 {
		tag += "=" + hash64(g.Secrets[0], parts)[:min(max(g.HashLength, 1), maxHash)]
	}
	return tag + "=" + strings.Join(parts, "=")
}

// hash64 is the hash of the parts in lower case.
func hash64(secret string, parts []string) string {
	h := hmac.New(sha1.New, []byte(secret))
	for _, p := range parts {
		h.Write([]byte(lowerASCII(p)))
	}
	return base64.RawStdEncoding.EncodeToString(h.Sum(nil))
}

// split cuts a rewritten local part into the hash ("" when there is none) and n parts more, of which the last takes the rest.
func (g *Guarded) split(text string, n int) []string {
	if g.NoHash {
		text = "=" + text
	}
	parts := strings.SplitN(text, "=", n+1)
	if len(parts) != n+1 {
		return nil
	}
	return parts
}

// verify compares a hash with those of the secrets. Local parts may have lost their case on the way.
func (g *Guarded) verify(parts []string) error {
	if g.NoHash {
		return nil
	}
	least := g.HashMin
	if least <= 0 {
		least = g.HashLength
	}
	given := parts[0]
	if len(given) < min(max(least, 1), maxHash) || len(given) > maxHash {
		return ErrHash
	}
	for _, secret := range g.Secrets {
		want := hash64(secret, parts[1:])[:len(given)]
		if hmac.Equal([]byte(want), []byte(given)) || hmac.Equal([]byte(lowerASCII(want)), []byte(lowerASCII(given))) {
			return nil
		}
	}
	return ErrHash
}

// Reverse returns the address that a local part stands for: the sender's for SRS0, for SRS1 the SRS0 address of the first forwarder. key is set in its
// place when the local part came from Key. Errors are ErrForm, ErrHash and ErrExpired.
func (g *Guarded) Reverse(local string, now time.Time) (address, key string, err error) {
	if len(local) > maxLocal {
		return "", "", ErrForm
	}
	if rest, ok := tagged(local, "SRS1"); ok {
		parts := g.split(rest[1:], 2)
		if parts == nil || parts[1] == "" || len(parts[2]) < 2 || strings.IndexByte("=+-", parts[2][0]) < 0 {
			return "", "", ErrForm
		}
		if err := g.verify(parts); err != nil {
			return "", "", err
		}
		return "SRS0" + parts[2] + "@" + parts[1], "", nil
	}
	rest, ok := tagged(local, "SRS0")
	if !ok {
		return "", "", ErrForm
	}
	n := 3
	if g.NoStamp {
		n = 2
	}
	parts := g.split(rest[1:], n)
	if parts == nil || parts[n] == "" {
		return "", "", ErrForm
	}
	if err := g.verify(parts); err != nil {
		return "", "", err
	}
	if !g.NoStamp && !g.fresh(parts[1], now) {
		return "", "", ErrExpired
	}
	if parts[n-1] == "" {
		return "", parts[n], nil
	}
	return parts[n] + "@" + parts[n-1], "", nil
}

// fresh reports whether a stamp is of today, of the days before it that count, or of tomorrow (clocks differ).
func (g *Guarded) fresh(stamp string, now time.Time) bool {
	if len(stamp) != 2 {
		return false
	}
	stamp = lowerASCII(stamp)
	high, low := strings.IndexByte(alphabet, stamp[0]), strings.IndexByte(alphabet, stamp[1])
	if high < 0 || low < 0 {
		return false
	}
	return (day(now)+1-(high<<5|low)+days)%days <= g.MaxAge+1
}

// Configure sets what a text "secret:maxage:hashlength:usetimestamp:usehash" says; parts that are missing or empty stay as they are. ok is false when
// a number is malformed.
func (g *Guarded) Configure(text string) (ok bool) {
	parts := strings.Split(text, ":")
	ok = len(parts) <= 5
	for i, part := range parts {
		part = strings.TrimSpace(part)
		if part == "" || i > 4 {
			continue
		}
		n, err := strconv.Atoi(part)
		if i > 0 && (err != nil || n < 0) {
			ok = false
			continue
		}
		switch i {
		case 0:
			g.Secrets = []string{part}
		case 1:
			g.MaxAge = n
		case 2:
			g.HashLength = n
		case 3:
			g.NoStamp = n == 0
		case 4:
			g.NoHash = n == 0
		}
	}
	return ok
}
