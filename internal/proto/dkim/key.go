package dkim

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// Key is a key record (RFC 6376 section 3.6.1).
type Key struct {
	// Version is "DKIM1"; Type "rsa" or "ed25519"; Notes the n= tag as it stands.
	Version, Type, Notes string
	// Hashes are the hashes allowed (h=), nil for all; Services the service types (s=), nil for all; Flags those of t=.
	Hashes, Services, Flags []string
	// Granularity is the g= tag of RFC 4871, "*" when missing; it has no meaning any more.
	Granularity string
	// Public is the key.
	Public PublicKey
}

// The ways in which a key cannot be had. What FetchKey returns beside them is temporary.
var (
	// ErrNoKey: the domain publishes no record of the selector.
	ErrNoKey = errors.New("no key for signature")
	// ErrKeySyntax: the record cannot be read.
	ErrKeySyntax = errors.New("key syntax error")
	// ErrKeyRevoked: the record's p= is empty.
	ErrKeyRevoked = errors.New("key revoked")
	// ErrKeyImport: the record is well-formed, but not the key in it.
	ErrKeyImport = errors.New("key data unusable")
	// ErrKeyType: the key is of a type that is not known.
	ErrKeyType = errors.New("unknown key type")
)

// Testing tells whether the domain tests DKIM (t=y); such signatures are not to be treated otherwise than missing ones.
func (k *Key) Testing() bool { return slices.Contains(k.Flags, "y") }

// Strict tells whether i= must name d= itself and no subdomain (t=s).
func (k *Key) Strict() bool { return slices.Contains(k.Flags, "s") }

// AllowsHash tells whether signatures may use the hash ("sha256").
func (k *Key) AllowsHash(name string) bool { return k.Hashes == nil || slices.Contains(k.Hashes, name) }

// AllowsService tells whether the key is for the service ("email").
func (k *Key) AllowsService(name string) bool {
	return k.Services == nil || slices.Contains(k.Services, "*") || slices.Contains(k.Services, name)
}

// maxRecord bounds a key record: one with an rsa-8192 key has 1.4 KiB.
const maxRecord = 16 << 10

// ParseKey reads a key record. On ErrKeyRevoked, ErrKeyImport and ErrKeyType the Key holds what could be read.
func ParseKey(text string) (*Key, error) {
	if len(text) > maxRecord {
		return nil, fmt.Errorf("%w: the record is too long", ErrKeySyntax)
	}
	tags, err := ParseTags(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeySyntax, err)
	}
	k := &Key{Version: "DKIM1", Type: "rsa", Granularity: "*"}
	if v, ok := tags.Get("v"); ok && (v != k.Version || tags[0].Name != "v") {
		return nil, fmt.Errorf("%w: version", ErrKeySyntax)
	}
	if v, ok := tags.Get("k"); ok && v != "" {
		k.Type = v
	}
	if v, ok := tags.Get("h"); ok && v != "" {
		k.Hashes = splitColon(v)
	}
	if v, ok := tags.Get("s"); ok && v != "" {
		k.Services = splitColon(v)
	}
	if v, ok := tags.Get("t"); ok && v != "" {
		k.Flags = splitColon(v)
	}
	if v, ok := tags.Get("g"); ok {
		k.Granularity = v
	}
	k.Notes, _ = tags.Get("n")
	p, ok := tags.Get("p")
	if !ok {
		return nil, fmt.Errorf("%w: no p=", ErrKeySyntax)
	}
	if p = RemoveSpace(p); p == "" {
		return k, ErrKeyRevoked
	}
	der, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		if der, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(p, "=")); err != nil {
			return k, fmt.Errorf("%w: base64", ErrKeySyntax)
		}
	}
	k.Public, err = ParsePublicKey(k.Type, der)
	return k, err
}

// FetchKey gets the key record of a selector (RFC 6376 section 3.6.2). Where there are several records, the first that is a usable key
// counts.
func FetchKey(ctx context.Context, txt TXT, selector, domain string) (*Key, error) {
	name, err := asciiName(selector + "._domainkey." + domain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	records, err := txt(ctx, name)
	if errors.Is(err, ErrNoRecord) || err == nil && len(records) == 0 {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, err
	}
	var first error
	var partial *Key
	for i, r := range records {
		if i == maxRecords {
			break
		}
		k, err := ParseKey(r)
		if err == nil {
			return k, nil
		}
		if first == nil {
			first, partial = err, k
		}
	}
	return partial, first
}

// asciiName makes A-labels of a name beyond ASCII (RFC 8616 section 5).
func asciiName(name string) (string, error) {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false)).ToASCII(name)
		}
	}
	return name, nil
}

// maxRecords is how many records of a name are looked at.
const maxRecords = 10
