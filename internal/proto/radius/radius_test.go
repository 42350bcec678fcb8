package radius

import (
	"crypto/md5"
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestHide is the example of RFC 2865 section 7.1.
func TestHide(t *testing.T) {
	vector, _ := hex.DecodeString("0f403f9473978057bd83d5cb98f4227a")
	if got := hex.EncodeToString(hide("arctangent", "xyzzy5461", vector)); got != "0dbe708d93d413ce3196e43f782a0aee" {
		t.Error(got)
	}
}

// TestAnswer reads the answer of the same example, and damaged ones.
func TestAnswer(t *testing.T) {
	r := &Request{ID: 0}
	hex.Decode(r.Authenticator[:], []byte("0f403f9473978057bd83d5cb98f4227a"))
	answer, _ := hex.DecodeString("0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103")
	if ok, err := r.Accepted(answer, "xyzzy5461"); !ok || err != nil {
		t.Error(ok, err)
	}
	for i := range answer {
		bad := append([]byte(nil), answer...)
		bad[i] ^= 1
		if ok, err := r.Accepted(bad, "xyzzy5461"); ok || err == nil {
			t.Errorf("byte %d changed: %v %v", i, ok, err)
		}
	}
	for _, short := range []int{0, 5, 20, len(answer) - 1} {
		if ok, err := r.Accepted(answer[:short], "xyzzy5461"); ok || err == nil {
			t.Errorf("%d bytes: %v %v", short, ok, err)
		}
	}
}

// Answer makes an answer as a server would.
func Answer(request []byte, code byte, secret string) []byte {
	p := append([]byte{code, request[1], 0, 20}, request[4:20]...)
	sum := md5.Sum(append(append([]byte(nil), p...), secret...))
	copy(p[4:], sum[:])
	return p
}

func TestPacket(t *testing.T) {
	r := &Request{User: "joe", Password: strings.Repeat("p", 40), NAS: "mail", ID: 7}
	p, err := r.Packet("secret")
	if err != nil || p[0] != 1 || p[1] != 7 || int(p[2])<<8|int(p[3]) != len(p) || !r.attributesHold(append(append([]byte{}, p[:4]...), append(make([]byte, 16), p[20:]...)...), "secret") {
		t.Errorf("%x %v", p, err)
	}
	for code, want := range map[byte]bool{2: true, 3: false, 11: false} {
		if ok, err := r.Accepted(Answer(p, code, "secret"), "secret"); ok != want || err != nil {
			t.Errorf("code %d: %v %v", code, ok, err)
		}
		if ok, err := r.Accepted(Answer(p, code, "other"), "secret"); ok || err == nil {
			t.Errorf("code %d with another secret: %v %v", code, ok, err)
		}
	}
	if _, err := (&Request{Password: strings.Repeat("p", 129)}).Packet("s"); err != ErrTooLong {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "radiusclient.conf")
	os.WriteFile(path, []byte("# comment\nauthserver localhost # first\nauthserver 10.0.0.1:1645\nauthserver 10.0.0.2:1812:own,[::1]:99\nradius_timeout 3\nradius_retries 1\nservers servers\nbindaddr *\n"), 0o600)
	os.WriteFile(filepath.Join(dir, "servers"), []byte("# names\nlocalhost one\n10.0.0.1/me two\n10.0.0.2 three\n::1 four\n"), 0o600)
	c, err := ReadConfig(path)
	want := &Config{Timeout: 3 * time.Second, Retries: 1, Servers: []Server{{"localhost", "1812", "one"}, {"10.0.0.1", "1645", "two"}, {"10.0.0.2", "1812", "own"}, {"::1", "99", "four"}}}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := ReadConfig(dir + "/servers"); err == nil {
		t.Error("a file without servers")
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x14aaaaaaaaaaaaaaaa"))
	f.Fuzz(func(t *testing.T, p []byte) {
		r := &Request{}
		if ok, err := r.Accepted(p, "secret"); ok && err == nil {
			t.Skip("found a secret")
		}
		r.attributesHold(append(make([]byte, headerSize), p...), "secret")
	})
}
