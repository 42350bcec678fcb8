package tlspolicy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"exigo/internal/outside"
)

// maxFile bounds the size of files of certificates and keys.
const maxFile = 16 << 20

// fileCache keeps what was read from files until they change (spec 43.9).
type fileCache struct {
	mu    sync.Mutex
	files map[string]cached
	certs map[string]cachedPair
}

type stamp struct {
	modified time.Time
	size     int64
}

type cached struct {
	stamp stamp
	value any
}

type cachedPair struct {
	cert, key stamp
	pair      *tls.Certificate
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.ModTime(), info.Size()}, nil
}

// readFile reads a file of a reasonable size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// load returns the parsed contents of a file; parse runs when the file is new or has changed.
func (c *fileCache) load(path string, parse func([]byte) (any, error)) (any, error) {
	at, err := stampOf(path)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	entry, ok := c.files[path]
	c.mu.Unlock()
	if ok && entry.stamp == at {
		return entry.value, nil
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	value, err := parse(data)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil || len(c.files) > 1000 {
		c.files = make(map[string]cached)
	}
	c.files[path] = cached{at, value}
	return value, nil
}

// pairs loads certificates with their keys. Without keys they are in the certificates' files.
func (c *fileCache) pairs(certs, keys []string) ([]*tls.Certificate, error) {
	if len(keys) == 0 {
		keys = certs
	}
	var out []*tls.Certificate
	for i, cert := range certs {
		key := keys[min(i, len(keys)-1)]
		pair, err := c.pair(cert, key)
		if err != nil {
			return nil, err
		}
		out = append(out, pair)
	}
	return out, nil
}

// pair loads one certificate with its key.
func (c *fileCache) pair(certFile, keyFile string) (*tls.Certificate, error) {
	certStamp, err := stampOf(certFile)
	if err != nil {
		return nil, certificateError(certFile, err)
	}
	keyStamp, err := stampOf(keyFile)
	if err != nil {
		return nil, keyError(keyFile, err)
	}
	name := certFile + "\x00" + keyFile
	c.mu.Lock()
	entry, ok := c.certs[name]
	c.mu.Unlock()
	if ok && entry.cert == certStamp && entry.key == keyStamp {
		return entry.pair, nil
	}
	pair, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.certs == nil || len(c.certs) > 1000 {
		c.certs = make(map[string]cachedPair)
	}
	c.certs[name] = cachedPair{certStamp, keyStamp, pair}
	return pair, nil
}

func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	data, err := readFile(certFile)
	if err != nil {
		return nil, certificateError(certFile, err)
	}
	chain := pemBlocks(data, "CERTIFICATE")
	if len(chain) == 0 {
		return nil, certificateError(certFile, errNoStart)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, certificateError(certFile, err)
	}
	if keyFile != certFile {
		if data, err = readFile(keyFile); err != nil {
			return nil, keyError(keyFile, err)
		}
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, keyError(keyFile, err)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return nil, keyError(keyFile, errMismatch)
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

var (
	errNoStart  = errors.New("0480006C:PEM routines::no start line")
	errMismatch = errors.New("05800074:x509 certificate routines::key values mismatch")
)

func certificateError(file string, err error) error {
	return failf("(SSL_CTX_use_certificate_chain_file file=%s): error:%s", file, opensslText(err))
}

func keyError(file string, err error) error {
	return failf("(SSL_CTX_use_PrivateKey_file file=%s): error:%s", file, opensslText(err))
}

// opensslText words an error of the system as OpenSSL does.
func opensslText(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		text := number.Error()
		if errors.Is(err, fs.ErrNotExist) {
			return "80000002:system library::No such file or directory"
		}
		return "800000" + hexByte(byte(number)) + ":system library::" + strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}

func hexByte(b byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[b>>4], digits[b&15]})
}

// pemBlocks returns the blocks of a type.
func pemBlocks(data []byte, kind string) [][]byte {
	var out [][]byte
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return out
		}
		if block.Type == kind || kind == "CERTIFICATE" && (block.Type == "X509 CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE") {
			out = append(out, block.Bytes)
		}
		data = rest
	}
}

// parseKey finds the private key in a file.
func parseKey(data []byte) (crypto.Signer, error) {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, errNoStart
		}
		data = rest
		if block.Type != "PRIVATE KEY" && !strings.HasSuffix(block.Type, " PRIVATE KEY") {
			continue
		}
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		switch k := key.(type) {
		case *rsa.PrivateKey:
			return k, nil
		case *ecdsa.PrivateKey:
			return k, nil
		case ed25519.PrivateKey:
			return k, nil
		}
		return nil, errors.New("private key of an unknown type")
	}
}

// ownCertificate is the certificate for servers without tls_certificate.
type ownCertificate struct {
	mu   sync.Mutex
	pair *tls.Certificate
	ends time.Time
}

// selfSignedLife is how long such a certificate lives; it is renewed half an hour before.
const selfSignedLife = 2 * time.Hour

// get returns a certificate that is good for some time yet.
func (s *ownCertificate) get(world *outside.World, host string) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := world.Clock.Now()
	life, margin := selfSignedLife, 30*time.Minute
	if q := world.Quirks.SelfSignedLife; q > 0 {
		life, margin = q, 0
	}
	if s.pair != nil && now.Before(s.ends.Add(-margin)) {
		return s.pair, nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Country: []string{"UK"}, Organization: []string{"Exim Developers"}, CommonName: host},
		NotBefore:    now.Add(-time.Minute), NotAfter: now.Add(life),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{host},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, err
	}
	s.pair, s.ends = &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}, now.Add(life)
	return s.pair, nil
}
