package arc

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"exigo/internal/proto/dkim"
)

// minRSABits is the smallest RSA key whose signatures count (RFC 8301 section 3.2).
const minRSABits = 1024

// Outcome is what validation found.
type Outcome struct {
	Result Result
	// Reason says why the result is fail or temperror.
	Reason string
	// Instances is how many sets the chain has; OldestPass the lowest instance number from which on all message signatures verify, 0 when not
	// even that of the newest does, or there is none.
	Instances, OldestPass int
	// Domains are those that sealed, oldest first, "" where one cannot be told.
	Domains []string
	// Selector and Domain are those of the newest message signature.
	Selector, Domain string
}

// Verifier validates the chain of one message. Make it when the header is there, write the body into it, close it, and ask for the outcome.
type Verifier struct {
	chain  *Chain
	fields []string
	// messages are the message signatures, by instance less one; nil where one is unusable for the reason in faults.
	messages []*message
	faults   []string
	bodies   []*body
	hashes   int
}

// message is a message signature: what is needed to check it.
type message struct {
	tags      dkim.Tags
	header    dkim.Canonicalization
	algorithm dkim.Algorithm
	signed    []string
	hash      []byte
	signature []byte
	body      *dkim.BodyHash
}

// body is a canonicaliser with its hashes, each for one limit.
type body struct {
	canon dkim.Canonicalization
	*dkim.Body
	hashes map[hashKey]*dkim.BodyHash
}

type hashKey struct {
	hash  crypto.Hash
	limit int64
}

// NewVerifier looks at the header fields of a message, from top to bottom. With onlyLF a CR in the body is data even before an LF.
func NewVerifier(fields []string, onlyLF bool) *Verifier {
	v := &Verifier{chain: NewChain(fields), fields: fields}
	if v.chain.Empty() || v.chain.fault != "" || v.chain.Status() == Fail {
		return v // there is nothing in the body to look at
	}
	n := v.chain.Len()
	v.messages, v.faults = make([]*message, n), make([]string, n)
	for i := n - 1; i >= 0; i-- { // the newest is the one that must verify
		v.messages[i], v.faults[i] = v.prepare(v.chain.sets[i], onlyLF)
	}
	return v
}

// Chain returns the sets found.
func (v *Verifier) Chain() *Chain { return v.chain }

// NeedsBody tells whether the outcome depends on the body.
func (v *Verifier) NeedsBody() bool { return len(v.bodies) > 0 }

// Write takes the next piece of the body.
func (v *Verifier) Write(p []byte) (int, error) {
	for _, b := range v.bodies {
		b.Write(p)
	}
	return len(p), nil
}

// Close ends the body.
func (v *Verifier) Close() error {
	for _, b := range v.bodies {
		b.Close()
	}
	return nil
}

// prepare reads a message signature (RFC 8617 section 4.1.2) and joins the body hash that it needs. fault says why it cannot be used.
func (v *Verifier) prepare(s *set, onlyLF bool) (m *message, fault string) {
	m = &message{tags: s.tags[signature]}
	get := func(name string) string { return s.tag(signature, name) }
	var ok bool
	if m.algorithm, ok = algorithm(get("a")); !ok {
		return nil, "AMS algorithm"
	}
	canon, has := m.tags.Get("c")
	if !has {
		canon = "simple/simple"
	}
	var bodyCanon dkim.Canonicalization
	if m.header, bodyCanon, ok = dkim.ParseCanonicalization(canon); !ok {
		return nil, "AMS canonicalization"
	}
	if m.signature, ok = base64Tag(get("b")); !ok {
		return nil, "AMS b="
	}
	if m.hash, ok = base64Tag(get("bh")); !ok {
		return nil, "AMS bh="
	}
	if get("d") == "" || get("s") == "" {
		return nil, "AMS d= or s= missing"
	}
	m.signed = strings.Split(dkim.RemoveSpace(get("h")), ":")
	if slices.Contains(m.signed, "") || slices.ContainsFunc(m.signed, func(n string) bool { return strings.EqualFold(n, SealField) }) {
		return nil, "AMS h=" // a message signature must not cover seals
	}
	limit := int64(-1)
	if l, has := m.tags.Get("l"); has {
		if n, err := strconv.ParseUint(l, 10, 62); err == nil {
			limit = int64(n)
		} else {
			return nil, "AMS l="
		}
	}
	if m.body = v.bodyHash(bodyCanon, m.algorithm.CryptoHash(), limit, onlyLF); m.body == nil {
		return nil, "AMS one hash of the body too many"
	}
	return m, ""
}

// maxHashes is how many different hashes of a body are made: without lengths there are two.
const maxHashes = 8

// algorithm reads an a= tag. Only algorithms with SHA-256 are used (RFC 8617 section 4.1.2, RFC 8463).
func algorithm(text string) (dkim.Algorithm, bool) {
	a, ok := dkim.ParseAlgorithm(text)
	return a, ok && a.Hash == "sha256"
}

// bodyHash returns a hash of the body, one for all signatures that want the same. nil: there are too many.
func (v *Verifier) bodyHash(c dkim.Canonicalization, h crypto.Hash, limit int64, onlyLF bool) *dkim.BodyHash {
	i := slices.IndexFunc(v.bodies, func(b *body) bool { return b.canon == c })
	if i < 0 {
		i = len(v.bodies)
		v.bodies = append(v.bodies, &body{canon: c, Body: dkim.NewBody(c, onlyLF), hashes: make(map[hashKey]*dkim.BodyHash)})
	}
	b, key := v.bodies[i], hashKey{h, limit}
	if b.hashes[key] == nil && v.hashes < maxHashes {
		v.hashes++
		b.hashes[key] = b.Hash(h.New(), limit)
	}
	return b.hashes[key]
}

// validation is the state of one Verify.
type validation struct {
	*Verifier
	ctx     context.Context
	txt     dkim.TXT
	now     time.Time
	section *dkim.Section
	keys    map[string]fetched
}

type fetched struct {
	key *dkim.Key
	err error
}

// errTemporary marks failures that may not be there at another time.
type errTemporary struct{ error }

// Verify validates the chain (RFC 8617 section 5.2). Call it after Close. txt is asked for at most one key for each signature, and no key twice.
func (v *Verifier) Verify(ctx context.Context, txt dkim.TXT, now time.Time) Outcome {
	c := v.chain
	o := Outcome{Result: Pass, Instances: c.Len(), Domains: c.Domains()}
	if n := c.Len(); n > 0 {
		o.Selector, o.Domain = c.sets[n-1].tag(signature, "s"), c.sets[n-1].tag(signature, "d")
	}
	switch {
	case c.Empty():
		return Outcome{Result: None}
	case c.fault != "":
		o.Result, o.Reason = Fail, c.fault
		return o
	case c.Status() == Fail:
		o.Result, o.Reason = Fail, fmt.Sprintf("i=%d (cv)", c.Len())
		return o
	}
	w := &validation{Verifier: v, ctx: ctx, txt: txt, now: now, section: dkim.NewSection(v.fields), keys: make(map[string]fetched)}
	for i := c.Len(); i >= 1; i-- { // from the newest; the older ones only tell who changed the message
		err := w.message(i)
		if err == nil {
			o.OldestPass = i
			continue
		}
		if i == c.Len() {
			o.Result, o.Reason = failure(err)
			return o
		}
		break
	}
	for i := c.Len(); i >= 1; i-- {
		if err := w.seal(i); err != nil {
			o.Result, o.Reason = failure(err)
			return o
		}
	}
	return o
}

// failure is the result that an error stands for.
func failure(err error) (Result, string) {
	var t errTemporary
	if errors.As(err, &t) {
		return TempError, err.Error()
	}
	return Fail, err.Error()
}

// message checks the message signature of an instance.
func (w *validation) message(i int) error {
	m := w.messages[i-1]
	if m == nil {
		return errors.New(w.faults[i-1])
	}
	if err := w.times(m.tags); err != nil {
		return fmt.Errorf("AMS %w", err)
	}
	if !bytes.Equal(m.body.Sum(), m.hash) {
		return errors.New("AMS body hash miscompare")
	}
	key, err := w.key(m.tags, m.algorithm)
	if err != nil {
		return fmt.Errorf("AMS %w", err)
	}
	h := m.algorithm.CryptoHash()
	digest := dkim.HashHeader(h.New(), m.header, w.section.Pick(m.signed), w.chain.sets[i-1].fields[signature])
	if key.Verify(h, digest, m.signature) != nil {
		return errors.New("AMS sig nonverify")
	}
	return nil
}

// seal checks the seal of an instance (section 4.1.3): it covers all sets up to its own.
func (w *validation) seal(i int) error {
	s := w.chain.sets[i-1]
	wrong := func(what string) error { return fmt.Errorf("i=%d (%s)", i, what) }
	want := Pass
	if i == 1 {
		want = None
	}
	if Result(strings.ToLower(s.tag(seal, "cv"))) != want {
		return wrong("cv")
	}
	if _, has := s.tags[seal].Get("h"); has {
		return wrong("h= in AS")
	}
	a, ok := algorithm(s.tag(seal, "a"))
	if !ok {
		return wrong("AS algorithm")
	}
	sig, ok := base64Tag(s.tag(seal, "b"))
	if !ok {
		return wrong("AS b=")
	}
	if s.tag(seal, "d") == "" || s.tag(seal, "s") == "" {
		return wrong("AS d= or s= missing")
	}
	key, err := w.key(s.tags[seal], a)
	if err != nil {
		return fmt.Errorf("i=%d (AS %w)", i, err)
	}
	h := a.CryptoHash()
	if key.Verify(h, w.chain.sealed(h, 1, i), sig) != nil {
		return wrong("AS sig nonverify")
	}
	return nil
}

// sealed is the digest that the seal of instance last covers: the sets from first on.
func (c *Chain) sealed(h crypto.Hash, first, last int) []byte {
	var fields []string
	for _, s := range c.sets[first-1 : last] {
		fields = append(fields, s.fields[:]...)
	}
	return dkim.HashHeader(h.New(), dkim.Relaxed, fields[:len(fields)-1], fields[len(fields)-1])
}

// times obeys t= and x=.
func (w *validation) times(tags dkim.Tags) error {
	x, has := tags.Get("x")
	if !has {
		return nil
	}
	until, err := strconv.ParseInt(x, 10, 64)
	if err != nil {
		return errors.New("x=")
	}
	if w.now.Unix() > until {
		return errors.New("expired")
	}
	return nil
}

// key gets the key of a signature and sees whether it may be used.
func (w *validation) key(tags dkim.Tags, a dkim.Algorithm) (dkim.PublicKey, error) {
	domain, _ := tags.Get("d")
	selector, _ := tags.Get("s")
	name := strings.ToLower(selector + "._domainkey." + domain)
	f, ok := w.keys[name]
	if !ok {
		f.key, f.err = dkim.FetchKey(w.ctx, w.txt, selector, domain)
		w.keys[name] = f
	}
	switch {
	case f.err != nil && !permanent(f.err):
		return dkim.PublicKey{}, errTemporary{fmt.Errorf("pubkey unavailable: %s", name)}
	case f.err != nil:
		return dkim.PublicKey{}, fmt.Errorf("%w: %s", f.err, name)
	case f.key.Public.Type() != a.Key, !f.key.AllowsHash(a.Hash), !f.key.AllowsService("email"):
		return dkim.PublicKey{}, errors.New("pubkey not for this signature")
	case a.Key == "rsa" && f.key.Public.Bits() < minRSABits:
		return dkim.PublicKey{}, fmt.Errorf("pubkey too short: %d bits", f.key.Public.Bits())
	}
	return f.key.Public, nil
}

// permanent tells failures to get a key that come from what the domain publishes.
func permanent(err error) bool {
	return slices.ContainsFunc([]error{dkim.ErrNoKey, dkim.ErrKeySyntax, dkim.ErrKeyRevoked, dkim.ErrKeyImport, dkim.ErrKeyType}, func(e error) bool { return errors.Is(err, e) })
}
