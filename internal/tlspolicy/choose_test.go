package tlspolicy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"
)

// TestChoose: of several certificates the list of ciphers decides, if there is one.
func TestChoose(t *testing.T) {
	one, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	two, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var both []*tls.Certificate
	for _, key := range []crypto.Signer{one, two} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	}
	const rsaSuite, ecdsaSuite = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	for _, row := range []struct {
		ciphers, known []uint16
		want           int
	}{
		{nil, []uint16{ecdsaSuite, rsaSuite}, 0},
		{nil, []uint16{ecdsaSuite}, 1},
		{[]uint16{ecdsaSuite, rsaSuite}, []uint16{rsaSuite, ecdsaSuite}, 1},
		{[]uint16{rsaSuite, ecdsaSuite}, []uint16{rsaSuite, ecdsaSuite}, 0},
		{[]uint16{ecdsaSuite}, []uint16{rsaSuite}, 0},
	} {
		hello := &tls.ClientHelloInfo{CipherSuites: row.known, SupportedVersions: []uint16{tls.VersionTLS12}, SupportedCurves: []tls.CurveID{tls.CurveP256},
			SupportedPoints: []uint8{0}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PKCS1WithSHA256, tls.PSSWithSHA256}}
		if got := choose(both, row.ciphers, hello); got != both[row.want] {
			t.Errorf("%v %v: not certificate %d", row.ciphers, row.known, row.want)
		}
	}
}
