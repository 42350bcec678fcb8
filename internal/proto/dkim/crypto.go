package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha1" // makes crypto.SHA1 available for old signatures
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
)

// Algorithm is a signature algorithm: the a= tag.
type Algorithm struct {
	// Key is "rsa" or "ed25519"; Hash is "sha1", "sha256" or "sha512".
	Key, Hash string
}

// String returns the a= tag.
func (a Algorithm) String() string { return a.Key + "-" + a.Hash }

// hashes are the hashes known: sha1 for old signatures only (RFC 8301), sha512 beyond the standards.
func hashByName(name string) (crypto.Hash, bool) {
	switch name {
	case "sha256":
		return crypto.SHA256, true
	case "sha512":
		return crypto.SHA512, true
	case "sha1":
		return crypto.SHA1, true
	}
	return 0, false
}

// CryptoHash returns the hash of the algorithm.
func (a Algorithm) CryptoHash() crypto.Hash {
	h, _ := hashByName(a.Hash)
	return h
}

// ParseAlgorithm reads an a= tag. Whether an algorithm is to be trusted is decided elsewhere.
func ParseAlgorithm(text string) (Algorithm, bool) {
	key, hash, _ := strings.Cut(strings.ToLower(text), "-")
	if _, ok := hashByName(hash); ok && (key == "rsa" || key == "ed25519" && hash != "sha1") {
		return Algorithm{key, hash}, true
	}
	return Algorithm{}, false
}

// PublicKey is an RSA or Ed25519 key; its zero value verifies nothing.
type PublicKey struct {
	rsa *rsa.PublicKey
	ed  ed25519.PublicKey
}

// Valid tells whether there is a key.
func (k PublicKey) Valid() bool { return k.rsa != nil || k.ed != nil }

// Type is "rsa" or "ed25519".
func (k PublicKey) Type() string {
	if k.ed != nil {
		return "ed25519"
	}
	return "rsa"
}

// Bits is the size of the key: the modulus of RSA; 253 for Ed25519, the size of the group's order, as OpenSSL counts it.
func (k PublicKey) Bits() int {
	switch {
	case k.rsa != nil:
		return k.rsa.N.BitLen()
	case k.ed != nil:
		return 253
	}
	return 0
}

// MaxKeyBits is the largest RSA key that is used: larger ones cost more time than their owner may ask for.
const MaxKeyBits = 8192

// ParsePublicKey reads the key of a record's p= tag: for rsa an RSAPublicKey or a SubjectPublicKeyInfo (RFC 6376 section 3.6.1 and
// erratum 3017), for ed25519 the 32 bytes alone (RFC 8463 section 4.2), or as some publish it a SubjectPublicKeyInfo.
func ParsePublicKey(kind string, der []byte) (PublicKey, error) {
	switch kind {
	case "rsa":
		key, err := x509.ParsePKCS1PublicKey(der)
		if err != nil {
			any, err := x509.ParsePKIXPublicKey(der)
			if err != nil {
				return PublicKey{}, fmt.Errorf("%w: %w", ErrKeyImport, err)
			}
			if key, _ = any.(*rsa.PublicKey); key == nil {
				return PublicKey{}, fmt.Errorf("%w: no RSA key", ErrKeyImport)
			}
		}
		if key.N.BitLen() > MaxKeyBits || key.N.BitLen() < minKeyBits {
			return PublicKey{}, fmt.Errorf("%w: RSA key of %d bits", ErrKeyImport, key.N.BitLen())
		}
		return PublicKey{rsa: key}, nil
	case "ed25519":
		if len(der) != ed25519.PublicKeySize {
			any, err := x509.ParsePKIXPublicKey(der)
			if err != nil {
				return PublicKey{}, fmt.Errorf("%w: %w", ErrKeyImport, err)
			}
			key, ok := any.(ed25519.PublicKey)
			if !ok {
				return PublicKey{}, fmt.Errorf("%w: no Ed25519 key", ErrKeyImport)
			}
			return PublicKey{ed: key}, nil
		}
		return PublicKey{ed: slices.Clone(ed25519.PublicKey(der))}, nil
	}
	return PublicKey{}, fmt.Errorf("%w: %q", ErrKeyType, kind)
}

// minKeyBits is below anything that could carry a padded hash.
const minKeyBits = 384

// ErrSignature: a signature is not that of the digest and the key.
var ErrSignature = errors.New("signature did not verify")

// Verify checks a signature of a digest that was made with hash: RSASSA-PKCS1-v1_5, or PureEdDSA over the digest (RFC 8463 section 3).
func (k PublicKey) Verify(hash crypto.Hash, digest, signature []byte) error {
	switch {
	case k.ed != nil:
		if ed25519.Verify(k.ed, digest, signature) {
			return nil
		}
	case k.rsa == nil:
	case k.rsa.N.BitLen() < 1024:
		return verifyShort(k.rsa, hash, digest, signature)
	case rsa.VerifyPKCS1v15(k.rsa, hash, digest, signature) == nil:
		return nil
	}
	return ErrSignature
}

// digestInfo are the DER prefixes of RFC 8017 section 9.2.
func digestInfo(hash crypto.Hash) []byte {
	switch hash {
	case crypto.SHA1:
		return []byte{0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14}
	case crypto.SHA256:
		return []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}
	case crypto.SHA512:
		return []byte{0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40}
	}
	return nil
}

// verifyShort is RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.2) for keys that crypto/rsa refuses as too short. Whether they are good enough is the
// caller's policy; everything here is public, so that its time tells nobody anything.
func verifyShort(key *rsa.PublicKey, hash crypto.Hash, digest, signature []byte) error {
	want := encode(key.Size(), hash, digest)
	if want == nil || len(signature) != key.Size() || key.E < 3 || key.N.Bit(0) == 0 {
		return ErrSignature
	}
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(key.N) >= 0 {
		return ErrSignature
	}
	if got := s.Exp(s, big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, key.Size())); !bytes.Equal(got, want) {
		return ErrSignature
	}
	return nil
}

// encode is EMSA-PKCS1-v1_5 (RFC 8017 section 9.2); nil when the size is too small.
func encode(size int, hash crypto.Hash, digest []byte) []byte {
	info := digestInfo(hash)
	if info == nil || size < len(info)+len(digest)+11 {
		return nil
	}
	out := append(make([]byte, 0, size), 0, 1)
	for len(out) < size-len(info)-len(digest)-1 {
		out = append(out, 0xff)
	}
	return append(append(append(out, 0), info...), digest...)
}

// PrivateKey signs.
type PrivateKey struct{ signer crypto.Signer }

// ErrPrivateKey: a private key cannot be read.
var ErrPrivateKey = errors.New("unusable private key")

// ParsePrivateKey reads a private key: PEM with a PKCS #1 or PKCS #8 key, RSA or Ed25519; the base64 of one of these in DER without PEM's
// lines; or the base64 of the 32 bytes of an Ed25519 seed (RFC 8032 section 5.1.5).
func ParsePrivateKey(text string) (*PrivateKey, error) {
	var der []byte
	if block, _ := pem.Decode([]byte(text)); block != nil {
		if block.Headers["DEK-Info"] != "" || strings.HasPrefix(block.Type, "ENCRYPTED") {
			return nil, fmt.Errorf("%w: it is encrypted", ErrPrivateKey)
		}
		der = block.Bytes
	} else {
		var err error
		if der, err = base64.StdEncoding.DecodeString(RemoveSpace(text)); err != nil || len(der) == 0 {
			return nil, fmt.Errorf("%w: no PEM", ErrPrivateKey)
		}
	}
	if len(der) == ed25519.SeedSize {
		return &PrivateKey{ed25519.NewKeyFromSeed(der)}, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return &PrivateKey{key}, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPrivateKey, err)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return &PrivateKey{key}, nil
	case ed25519.PrivateKey:
		return &PrivateKey{key}, nil
	}
	return nil, fmt.Errorf("%w: neither RSA nor Ed25519", ErrPrivateKey)
}

// Type is "rsa" or "ed25519".
func (k *PrivateKey) Type() string { return k.Public().Type() }

// Public returns the public half.
func (k *PrivateKey) Public() PublicKey {
	switch key := k.signer.Public().(type) {
	case *rsa.PublicKey:
		return PublicKey{rsa: key}
	case ed25519.PublicKey:
		return PublicKey{ed: key}
	}
	return PublicKey{}
}

// signatureSize is how many bytes a signature has.
func (k *PrivateKey) signatureSize() int {
	if key, ok := k.signer.Public().(*rsa.PublicKey); ok {
		return key.Size()
	}
	return ed25519.SignatureSize
}

// Sign signs a digest that was made with hash. Randomness is only for the blinding of RSA, whose signatures are deterministic.
func (k *PrivateKey) Sign(random io.Reader, hash crypto.Hash, digest []byte) ([]byte, error) {
	if key, ok := k.signer.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, digest), nil
	}
	if key, ok := k.signer.(*rsa.PrivateKey); ok && key.N.BitLen() < 1024 {
		return signShort(key, hash, digest)
	}
	return k.signer.Sign(random, digest, hash)
}

// signShort signs with an RSA key that crypto/rsa refuses as too short. Anybody can factor such a key, so that it is no secret that the time this
// takes could tell; those who have nothing better published keep their signatures.
func signShort(key *rsa.PrivateKey, hash crypto.Hash, digest []byte) ([]byte, error) {
	padded := encode(key.Size(), hash, digest)
	if padded == nil {
		return nil, errors.New("the RSA key is too short for the hash")
	}
	m := new(big.Int).SetBytes(padded)
	return m.Exp(m, key.D, key.N).FillBytes(make([]byte, key.Size())), nil
}
