package pgsql

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"exigo/internal/outside"
)

const (
	scramMechanism = "SCRAM-SHA-256"
	// maxIterations bounds the work that a server may ask for; its own default is 4096.
	maxIterations    = 1 << 20
	terminateTimeout = time.Second
)

// scram is the client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL uses it: without channel binding, the user's name being known.
type scram struct {
	password, nonce string
	signature       []byte // what the server must prove to know
	proven          bool   // it has
}

func newScram(w *outside.World, mechanisms []string, password string) (*scram, error) {
	if !slices.Contains(mechanisms, scramMechanism) {
		return nil, errors.New("none of the server's SASL authentication mechanisms are supported\n")
	}
	var nonce [18]byte
	if _, err := w.Random.Read(nonce[:]); err != nil {
		return nil, err
	}
	return &scram{password: norm.NFKC.String(password), nonce: base64.StdEncoding.EncodeToString(nonce[:])}, nil
}

func (s *scram) first() string { return "n,," + s.bare() }

func (s *scram) bare() string { return "n=,r=" + s.nonce }

var (
	errScram     = errors.New("malformed SCRAM message\n")
	errSignature = errors.New("incorrect server signature\n")
)

// attribute is the value of a message's next attribute.
func attribute(fields []string, i int, name string) (string, bool) {
	if i >= len(fields) {
		return "", false
	}
	return strings.CutPrefix(fields[i], name+"=")
}

// next answers the server's first message with the proof.
func (s *scram) next(challenge string) (string, error) {
	if s == nil {
		return "", errScram
	}
	fields := strings.Split(challenge, ",")
	nonce, ok1 := attribute(fields, 0, "r")
	encoded, ok2 := attribute(fields, 1, "s")
	count, ok3 := attribute(fields, 2, "i")
	salt, err := base64.StdEncoding.DecodeString(encoded)
	iterations, bad := strconv.Atoi(count)
	if !ok1 || !ok2 || !ok3 || err != nil || bad != nil || iterations < 1 || iterations > maxIterations || len(nonce) <= len(s.nonce) || !strings.HasPrefix(nonce, s.nonce) {
		return "", errScram
	}
	salted, err := pbkdf2.Key(sha256.New, s.password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	final := "c=biws,r=" + nonce
	message := s.bare() + "," + challenge + "," + final
	clientKey := mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	proof := mac(stored[:], message)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	s.signature = mac(mac(salted, "Server Key"), message)
	return final + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// end looks at the server's own proof.
func (s *scram) end(message string) error {
	text, ok := strings.CutPrefix(message, "v=")
	proof, err := base64.StdEncoding.DecodeString(text)
	if s == nil || !ok || err != nil || s.signature == nil || !hmac.Equal(proof, s.signature) {
		return errSignature
	}
	s.proven = true
	return nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
