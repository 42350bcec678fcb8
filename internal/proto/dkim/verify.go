package dkim

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Policy is what a verifier accepts and spends.
type Policy struct {
	// KeyTypes and Hashes are the algorithms accepted, in order of preference; signatures by others are passed over. Empty: "ed25519", "rsa" and
	// "sha256" (RFC 8301).
	KeyTypes, Hashes []string
	// MinBits is the smallest key accepted of each type; a type without entry has no limit.
	MinBits map[string]int
	// MaxSignatures is how many DKIM-Signature fields a message may have; with more of them none is looked at. 0: no limit.
	MaxSignatures int
	// MaxLine is how long a line of the body may be, without line end; 0: no limit.
	MaxLine int
	// Minimal ends the verification at the first good signature.
	Minimal bool
	// OnlyLF says that LF alone ends lines of the body, and a CR is data.
	OnlyLF bool
	// Expiry makes signatures fail whose x= is before Now.
	Expiry bool
	Now    time.Time
	// Timeout bounds the time for all key records together. 0: half a minute.
	Timeout time.Duration
}

// Reason says why a signature is not good; Good is the zero value.
type Reason int

// The reasons.
const (
	Good Reason = iota
	// NotVerified: another signature was good, and that was enough.
	NotVerified
	// BadVersion and BadSyntax: see ErrVersion and ErrSyntax.
	BadVersion
	BadSyntax
	// KeyTemporary: the DNS gave no answer. NoKey: there is no record. BadRecord: the record cannot be read, or is not for mail.
	// BadKey: the key in the record cannot be used, or was revoked.
	KeyTemporary
	NoKey
	BadRecord
	BadKey
	// KeyTooShort: the key is smaller than the policy wants. KeyUnfit: the record does not allow the signature's algorithm or identity.
	KeyTooShort
	KeyUnfit
	// BodyChanged: the body hash differs. HeaderChanged: the signature is not that of the header.
	BodyChanged
	HeaderChanged
	// Expired: x= is over.
	Expired
)

// Result is what became of one signature.
type Result struct {
	*Signature
	Reason Reason
	// Err tells more about Reason, nil where there is nothing to tell.
	Err error
	// Key is the key record, nil when none was needed or could be read.
	Key *Key
}

// Status returns the result in the words of RFC 8601 section 2.7.1.
func (r *Result) Status() string {
	switch r.Reason {
	case Good:
		return "pass"
	case NotVerified:
		return "none"
	case KeyTemporary:
		return "temperror"
	case NoKey:
		return "permerror"
	case BodyChanged, HeaderChanged, KeyTooShort, KeyUnfit, Expired:
		return "fail"
	}
	return "neutral"
}

// The reasons for which no signature of a message is looked at.
var (
	ErrTooManySignatures = errors.New("too many signatures")
	ErrLongLine          = errors.New("a line of the body is too long")
)

// Verifier verifies all signatures of a message: make it of the header section, write the body to it, Close it, and Verify.
type Verifier struct {
	policy     Policy
	fields     []string
	signatures []*Signature
	hashes     []*BodyHash // of each signature
	bodies     []*Body
	line       int
	long       bool
}

// NewVerifier reads the signatures in a header section, given from top to bottom. The error is ErrTooManySignatures.
func NewVerifier(p Policy, fields []string) (*Verifier, error) {
	if len(p.KeyTypes) == 0 {
		p.KeyTypes = []string{"ed25519", "rsa"}
	}
	if len(p.Hashes) == 0 {
		p.Hashes = []string{"sha256"}
	}
	v := &Verifier{policy: p, fields: fields}
	n := 0
	for _, f := range fields {
		if !isSignature(f) {
			continue
		}
		if n++; p.MaxSignatures > 0 && n > p.MaxSignatures {
			return nil, ErrTooManySignatures
		}
		if s := ParseSignature(f); v.rank(s) >= 0 {
			v.signatures = append(v.signatures, s)
		}
	}
	slices.SortStableFunc(v.signatures, func(a, b *Signature) int { return v.rank(a) - v.rank(b) })
	v.hash()
	return v, nil
}

const signatureName = "dkim-signature"

// isSignature tells whether a field is a DKIM-Signature.
func isSignature(field string) bool {
	n := len(signatureName)
	return len(field) > n && strings.EqualFold(field[:n], signatureName) && strings.HasPrefix(strings.TrimLeft(field[n:], " \t"), ":")
}

// rank is the place of a signature's algorithm in the order of preference, -1 when it is not accepted.
func (v *Verifier) rank(s *Signature) int {
	key, hash := slices.Index(v.policy.KeyTypes, s.Algorithm.Key), slices.Index(v.policy.Hashes, s.Algorithm.Hash)
	if key < 0 || hash < 0 {
		return -1
	}
	return key*len(v.policy.Hashes) + hash
}

// hash sets up the hashes of the body: each canonical form is made once, each hash of it once.
func (v *Verifier) hash() {
	type form struct {
		body  Canonicalization
		hash  string
		limit int64
	}
	var bodies [2]*Body
	known := make(map[form]*BodyHash, 2)
	v.hashes = make([]*BodyHash, len(v.signatures))
	for i, s := range v.signatures {
		if s.Err != nil {
			continue
		}
		f := form{s.Body, s.Algorithm.Hash, s.Limit}
		if known[f] == nil {
			if bodies[f.body] == nil {
				bodies[f.body] = NewBody(f.body, v.policy.OnlyLF)
				v.bodies = append(v.bodies, bodies[f.body])
			}
			known[f] = bodies[f.body].Hash(s.Algorithm.CryptoHash().New(), f.limit)
		}
		v.hashes[i] = known[f]
	}
}

// Signatures returns the signatures that count, in the order in which they are verified: that of preference, then from top to bottom.
func (v *Verifier) Signatures() []*Signature { return v.signatures }

// Write takes the next piece of the body; it never fails.
func (v *Verifier) Write(p []byte) (int, error) {
	if v.policy.MaxLine > 0 && !v.long {
		v.measure(p)
	}
	if !v.long {
		for _, b := range v.bodies {
			b.Write(p)
		}
	}
	return len(p), nil
}

// measure looks for lines that are too long.
func (v *Verifier) measure(p []byte) {
	limit := v.policy.MaxLine
	if !v.policy.OnlyLF {
		limit++ // for a CR
	}
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n')
		if n < 0 {
			v.line += len(p)
			v.long = v.long || v.line > limit
			return
		}
		if v.line += n; v.line > limit {
			v.long = true
		}
		v.line = 0
		p = p[n+1:]
	}
}

// Close ends the body.
func (v *Verifier) Close() error {
	for _, b := range v.bodies {
		b.Close()
	}
	return nil
}

// Verify judges the signatures after Close. The error is ErrLongLine.
func (v *Verifier) Verify(ctx context.Context, txt TXT) ([]*Result, error) {
	if v.long {
		return nil, ErrLongLine
	}
	if len(v.signatures) == 0 {
		return nil, nil
	}
	limit := v.policy.Timeout
	if limit == 0 {
		limit = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	j := judge{v: v, ctx: ctx, txt: txt, keys: make(map[string]fetched, 1)}
	results := make([]*Result, len(v.signatures))
	done := false
	for i, s := range v.signatures {
		results[i] = &Result{Signature: s, Reason: NotVerified}
		if done {
			continue
		}
		j.judge(results[i], v.hashes[i])
		done = v.policy.Minimal && results[i].Reason == Good
	}
	return results, nil
}

// judge verifies signatures of one message.
type judge struct {
	v       *Verifier
	ctx     context.Context
	txt     TXT
	keys    map[string]fetched
	section *Section
}

type fetched struct {
	key *Key
	err error
}

func (j *judge) judge(r *Result, body *BodyHash) {
	switch {
	case errors.Is(r.Signature.Err, ErrVersion):
		r.Reason, r.Err = BadVersion, r.Signature.Err
	case r.Signature.Err != nil:
		r.Reason, r.Err = BadSyntax, r.Signature.Err
	case !bytes.Equal(body.Sum(), r.BodyHash) || r.Limit > body.Length():
		r.Reason = BodyChanged
	default:
		r.Reason = Good
		if j.key(r); r.Reason == Good {
			j.header(r)
		}
	}
}

// key gets the key and looks whether it is fit.
func (j *judge) key(r *Result) {
	name := r.Selector + "." + strings.ToLower(r.Domain)
	f, ok := j.keys[name]
	if !ok {
		f.key, f.err = FetchKey(j.ctx, j.txt, r.Selector, r.Domain)
		j.keys[name] = f
	}
	r.Key, r.Err = f.key, f.err
	switch {
	case f.err == nil:
		j.fit(r)
	case errors.Is(f.err, ErrNoKey):
		r.Reason = NoKey
	case errors.Is(f.err, ErrKeySyntax):
		r.Reason = BadRecord
	case errors.Is(f.err, ErrKeyRevoked), errors.Is(f.err, ErrKeyImport), errors.Is(f.err, ErrKeyType):
		r.Reason = BadKey
	default:
		r.Reason = KeyTemporary
	}
}

func (j *judge) fit(r *Result) {
	k := r.Key
	switch {
	case !k.AllowsService("email"):
		r.Reason, r.Err = BadRecord, errors.New("the key is not for mail")
	case k.Public.Type() != r.Algorithm.Key:
		r.Reason, r.Err = KeyUnfit, errors.New("the key is of another type than the signature")
	case !k.AllowsHash(r.Algorithm.Hash):
		r.Reason, r.Err = KeyUnfit, errors.New("the key's record does not allow the hash")
	case k.Strict() && r.Identity != "" && !strings.EqualFold(r.Identity[strings.LastIndexByte(r.Identity, '@')+1:], r.Domain):
		r.Reason, r.Err = KeyUnfit, errors.New("the key's record does not allow subdomains")
	case k.Public.Bits() < j.v.policy.MinBits[r.Algorithm.Key]:
		r.Reason = KeyTooShort
	}
}

// header verifies the signature of the header.
func (j *judge) header(r *Result) {
	if j.section == nil {
		j.section = NewSection(j.v.fields)
	}
	hash := r.Algorithm.CryptoHash()
	digest := HashHeader(hash.New(), r.Header, j.section.Pick(r.Names), r.Field)
	switch err := r.Key.Public.Verify(hash, digest, r.Value); {
	case err != nil:
		r.Reason, r.Err = HeaderChanged, err
	case j.v.policy.Expiry && r.Expires >= 0 && j.v.policy.Now.Unix() > r.Expires:
		r.Reason = Expired
	}
}

// Bits is the length of a signature's value in bits.
func (s *Signature) Bits() int { return 8 * len(s.Value) }
