package sasl

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

func TestBase64(t *testing.T) {
	for _, row := range []struct {
		in   string
		want string
		err  error
	}{
		{"", "", nil}, {"YWJj", "abc", nil}, {"YQ==", "a", nil}, {"*", "", ErrCancelled}, {"YQ", "", ErrBase64}, {"YQ=", "", ErrBase64}, {"YR==", "", ErrBase64}, {"Y Q==", "", ErrBase64}, {"YWJj\r\n", "", ErrBase64},
		{"=", "", ErrBase64}, {"YQ==YQ==", "", ErrBase64}, {strings.Repeat("YWJj", 3072), strings.Repeat("abc", 3072), nil}, {strings.Repeat("YWJj", 3073), "", ErrBase64},
	} {
		if got, err := DecodeResponse(row.in); string(got) != row.want || err != row.err {
			t.Errorf("%.20q: %.20q %v", row.in, got, err)
		}
	}
	for in, want := range map[string]error{"=": nil, "": ErrBase64, "YQ==": nil, "*": ErrBase64} {
		if _, err := DecodeInitial(in); err != want {
			t.Errorf("initial %q: %v", in, err)
		}
	}
	if EncodeInitial(nil) != "=" || EncodeInitial([]byte("a")) != "YQ==" || Encode(nil) != "" {
		t.Error("encode")
	}
}

func TestPlain(t *testing.T) {
	// RFC 4616 section 4, RFC 4954 section 4.1
	for _, row := range []struct {
		in   string
		want Plain
		ok   bool
	}{
		{"\x00tim\x00tanstaaftanstaaf", Plain{"", "tim", "tanstaaftanstaaf"}, true}, {"Ursel\x00Kurt\x00xipj3plmq", Plain{"Ursel", "Kurt", "xipj3plmq"}, true},
		{"tim\x00x", Plain{}, false}, {"\x00\x00x", Plain{}, false}, {"\x00tim\x00", Plain{}, false}, {"\x00a\x00b\x00c", Plain{}, false}, {"", Plain{}, false},
	} {
		got, err := ParsePlain([]byte(row.in))
		if got != row.want || (err == nil) != row.ok || row.ok && string(got.Encode()) != row.in {
			t.Errorf("%q: %+v %v", row.in, got, err)
		}
	}
	if b, err := DecodeInitial("AHRlc3QAMTIzNA=="); err != nil || string(b) != string(Plain{"", "test", "1234"}.Encode()) {
		t.Errorf("%q %v", b, err)
	}
}

func TestCRAM(t *testing.T) {
	// RFC 2195 section 2
	const challenge = "<1896.697170952@postoffice.reston.mci.net>"
	response := CRAMResponse(challenge, "tim", "tanstaaftanstaaf")
	if string(response) != "tim b913a602c7eda7a495b4e6e7334d3890" {
		t.Errorf("%s", response)
	}
	if base64.StdEncoding.EncodeToString(response) != "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw" {
		t.Error("base64")
	}
	user, digest, err := ParseCRAM(response)
	if user != "tim" || err != nil || !CheckCRAM(challenge, "tanstaaftanstaaf", digest) || !CheckCRAM(challenge, "tanstaaftanstaaf", strings.ToUpper(digest)) || CheckCRAM(challenge, "x", digest) {
		t.Errorf("%s %s %v", user, digest, err)
	}
	if user, _, err := ParseCRAM([]byte("a b " + digest)); user != "a b" || err != nil {
		t.Errorf("%s %v", user, err)
	}
	for _, bad := range []string{"", "tim", "tim x", " " + digest, "tim " + digest[1:], "tim " + digest + "0", "tim " + strings.Repeat("z", 32)} {
		if _, _, err := ParseCRAM([]byte(bad)); err != ErrMalformed {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if got := CRAMChallenge(1896, time.Unix(697170952, 0), "postoffice.reston.mci.net"); got != challenge {
		t.Error(got)
	}
}

func TestLoginExternal(t *testing.T) {
	for n, want := range []string{"u", "p"} {
		if b, err := LoginResponse(n, "u", "p"); string(b) != want || err != nil {
			t.Errorf("%d: %q %v", n, b, err)
		}
	}
	if _, err := LoginResponse(2, "u", "p"); err != ErrMalformed {
		t.Error("third challenge answered")
	}
	if Encode([]byte(LoginUser)) != "VXNlcm5hbWU6" || Encode([]byte(LoginPassword)) != "UGFzc3dvcmQ6" {
		t.Error("prompts")
	}
	if s, err := ParseExternal([]byte("fred@example.com")); s != "fred@example.com" || err != nil {
		t.Error(s, err)
	}
	if _, err := ParseExternal([]byte("a\x00b")); err != ErrMalformed {
		t.Error("NUL accepted")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("AHRlc3QAMTIzNA==")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := DecodeResponse(s)
		if err != nil {
			return
		}
		if len(b) > 0 && Encode(b) != s {
			t.Errorf("%q: decoded %q", s, b)
		}
		if p, err := ParsePlain(b); err == nil && string(p.Encode()) != string(b) {
			t.Errorf("%q: %+v", b, p)
		}
		ParseCRAM(b)
	})
}
