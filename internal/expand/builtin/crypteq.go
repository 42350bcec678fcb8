package builtin

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/go-crypt/crypt"
	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/sha1crypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"github.com/go-crypt/x/yescrypt"

	"exigo/internal/expand"
)

// secretConditions compare passwords, or ask who knows them.
func secretConditions() []expand.Condition {
	rows := []expand.Condition{
		{
			Name: "crypteq", Doc: "True if the first string, encrypted, is the second.", Min: 2, Max: 2,
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) { return CryptEqual(args[0].S, args[1].S) },
			Examples: []expand.Example{
				{In: `${if crypteq{test}{\{md5\}CY9rzUYh03PK3k6DJie09g==}{yes}{no}}`, Out: "yes"},
				{In: `${if crypteq{test}{\{MD5\}098f6bcd4621d373cade4e832627b4f6}{yes}{no}}`, Out: "yes"},
				{In: `${if crypteq{test}{\{sha1\}a94a8fe5ccb19ba61c4c0873d391e987982fbbd3}{yes}{no}}`, Out: "yes"},
				{In: `${if crypteq{test}{abgOeLfPimXQo}{yes}{no}}`, Out: "yes"}, {In: `${if crypteq{test}{ab}{yes}{no}}`, Out: "no"},
				{In: `${if crypteq{a}{\{md6\}xx}{y}{n}}`, Err: `unknown encryption mechanism in "{md6}xx"`},
			},
		},
		{
			Name: "acl", Doc: "True if the named ACL accepts; $value is then its message.", Min: 1, Max: 10, Wrapped: true, Test: testACL,
			Examples: []expand.Example{{In: `${if acl{a}}`, Err: "too few arguments or bracketing error for acl"}},
		},
	}
	return append(rows, serviceConditions()...)
}

// CryptEqual tells whether password, encrypted in the way that encrypted was, is the same (spec 11.7, crypteq).
func CryptEqual(password, encrypted string) (bool, error) {
	if !strings.HasPrefix(encrypted, "{") {
		return cryptEqual(password, encrypted), nil
	}
	name, rest, ok := strings.Cut(encrypted[1:], "}")
	switch name = lower(name); {
	case !ok:
	case name == "md5":
		sum := md5.Sum([]byte(password))
		return digestEqual(sum[:], rest), nil
	case name == "sha1":
		sum := sha1.Sum([]byte(password))
		return digestEqual(sum[:], rest), nil
	case name == "crypt":
		return cryptEqual(password, rest), nil
	case name == "crypt16":
		text, ok := desCrypt(password[:min(8, len(password))], rest)
		if ok && len(password) > 8 {
			more, _ := desCrypt(password[8:min(16, len(password))], rest)
			text += more[2:]
		}
		return ok && subtle.ConstantTimeCompare([]byte(text), []byte(rest)) == 1, nil
	}
	return false, expand.Fail("unknown encryption mechanism in \"%s\"", encrypted)
}

// digestEqual compares a digest with its hexadecimal or base64 form.
func digestEqual(sum []byte, text string) bool {
	var got []byte
	var err error
	if len(text) == 2*len(sum) {
		got, err = hex.DecodeString(text)
	} else {
		got, err = base64.StdEncoding.DecodeString(text)
	}
	return err == nil && subtle.ConstantTimeCompare(sum, got) == 1
}

// cryptEqual is what crypt(3) and a comparison give, for the methods that are in use.
func cryptEqual(password, encrypted string) bool {
	if !strings.HasPrefix(encrypted, "$") {
		text, ok := desCrypt(password, encrypted)
		return ok && subtle.ConstantTimeCompare([]byte(text), []byte(encrypted)) == 1
	}
	if strings.HasPrefix(encrypted, "$y$") {
		at := strings.LastIndexByte(encrypted, '$')
		text, err := yescrypt.Hash([]byte(password), []byte(encrypted[:at]))
		return err == nil && subtle.ConstantTimeCompare(text, []byte(encrypted)) == 1
	}
	decoder := crypt.NewDecoder()
	for _, register := range []func(algorithm.DecoderRegister) error{
		md5crypt.RegisterDecoderCommon, shacrypt.RegisterDecoder, bcrypt.RegisterDecoder, sha1crypt.RegisterDecoder,
	} {
		if register(decoder) != nil {
			return false
		}
	}
	digest, err := decoder.Decode(encrypted)
	return err == nil && digest.Match(password)
}
