package builtin

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
)

// hashItems are the hashing functions written as items.
func hashItems() []expand.Item {
	return []expand.Item{
		{
			Name: "hash", Doc: "Makes a short text of a string.", Min: 2, Max: 3,
			Eval: func(s *expand.Scope, args []expand.Value) (expand.Value, error) {
				return textHash(args[len(args)-1], texts(args[:len(args)-1])...)
			},
			Examples: []expand.Example{
				{In: `${hash{3}{monty}}`, Out: "jmg"}, {In: `${hash{5}{monty}}`, Out: "monty"}, {In: `${hash{4}{62}{monty python}}`, Out: "fbWx"},
				{In: `${hash{4}{63}{monty python}}`, Err: `hash count "63" too big`},
			},
		},
		{
			Name: "nhash", Doc: "Makes one or two numbers of a string.", Min: 2, Max: 3,
			Eval: func(s *expand.Scope, args []expand.Value) (expand.Value, error) {
				return numberHash(args[len(args)-1], texts(args[:len(args)-1])...)
			},
			Examples: []expand.Example{{In: `${nhash{8}{64}{supercalifragilisticexpialidocious}}`, Out: "6/33"}, {In: `${nhash_8_64:abc}`, Out: "7/44"}},
		},
		{
			Name: "hmac", Doc: "Makes a message authentication code (RFC 2104).", Min: 3, Max: 3, Eval: evalHMAC,
			Examples: []expand.Example{
				{In: `${hmac{md5}{somesecret}{mail.example.com 2002-10-17 11:30:59}}`, Out: "dd97e3ba5d1a61b5006108f8c8252953"},
				{In: `${hmac{sha256}{key}{data}}`, Err: `hmac algorithm "sha256" is not recognised`},
			},
		},
	}
}

// hashCodes are the characters of a textual hash. That t stands before s is Exim's, not ours.
const hashCodes = "abcdefghijklmnopqrtsuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// textHash folds a string into the given length by rotating and xoring its bytes, and writes each with one of the first count
// characters of hashCodes.
func textHash(subject expand.Value, numbers ...string) (expand.Value, error) {
	length, err := number("hash", numbers[0], true)
	count := 26
	if err == nil && len(numbers) > 1 {
		count, err = number("hash", numbers[1], false)
	}
	switch {
	case err != nil:
		return expand.Value{}, err
	case count > len(hashCodes):
		return expand.Value{}, expand.Fail("hash count \"%d\" too big", count)
	case length >= len(subject.S):
		return subject, nil
	case length <= 0 || count == 0:
		subject.S = ""
		return subject, nil
	}
	out := []byte(subject.S[:length])
	for i := length; i < len(subject.S); i++ {
		c := subject.S[i]
		shift := (int(c) + i) & 7
		out[(i-length)%length] ^= c<<shift | c>>(8-shift)
	}
	for i, c := range out {
		out[i] = hashCodes[int(c)%count]
	}
	subject.S = string(out)
	return subject, nil
}

// nhashPrimes weigh the bytes of a string, from the last to the first, then over again.
var nhashPrimes = [...]int64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
}

// numberHash is the div/mod hash.
func numberHash(subject expand.Value, numbers ...string) (expand.Value, error) {
	n, err := number("nhash", numbers[0], true)
	m := -1
	if err == nil && len(numbers) > 1 {
		m, err = number("nhash", numbers[1], false)
	}
	if err != nil {
		return expand.Value{}, err
	}
	var total int64
	for i := range len(subject.S) {
		total += nhashPrimes[len(nhashPrimes)-1-i%len(nhashPrimes)] * int64(subject.S[i])
	}
	var text string
	switch {
	case n <= 0 || m == 0:
	case m < 0:
		text = strconv.FormatInt(total%int64(n), 10)
	default:
		total %= int64(n) * int64(m)
		text = strconv.FormatInt(total/int64(m), 10) + "/" + strconv.FormatInt(total%int64(m), 10)
	}
	return expand.Join(text, subject), nil
}

func evalHMAC(s *expand.Scope, args []expand.Value) (expand.Value, error) {
	var make func() hash.Hash
	switch args[0].S {
	case "md5":
		make = md5.New
	case "sha1":
		make = sha1.New
	default:
		return expand.Value{}, expand.Fail("hmac algorithm \"%s\" is not recognised", args[0].S)
	}
	h := hmac.New(make, []byte(args[1].S))
	h.Write([]byte(args[2].S))
	return expand.Value{S: hex.EncodeToString(h.Sum(nil))}, nil
}

// certificate returns the certificate if the operator's subject is a single certificate variable.
func certificate(s *expand.Scope, subject *syntax.Text) *x509.Certificate {
	if len(subject.Parts) != 1 {
		return nil
	}
	v, ok := subject.Parts[0].(*syntax.Variable)
	if !ok {
		return nil
	}
	return certificateOf(s, v.Name)
}

// hashOperators are the cryptographic hashes.
func hashOperators() []expand.Operator {
	rows := []expand.Operator{
		digest("md5", md5.New, false, expand.Example{In: `${md5:abc}`, Out: "900150983cd24fb0d6963f7d28e17f72"}),
		digest("sha1", sha1.New, true, expand.Example{In: `${sha1:abc}`, Out: "A9993E364706816ABA3E25717850C26C9CD0D89D"}),
		digest("sha256", sha256.New, true),
		{
			Name: "sha2", Doc: "A hash of the SHA-2 family, of 256, 384 or 512 bits.", Underscore: true,
			Apply: func(s *expand.Scope, argument string, subject expand.Value) (expand.Value, error) {
				switch argument {
				case "", "256":
					return upperHex(sha256.New(), subject), nil
				case "384":
					return upperHex(sha512.New384(), subject), nil
				case "512":
					return upperHex(sha512.New(), subject), nil
				}
				return expand.Value{}, expand.Fail("unrecognised sha2 variant")
			},
			Examples: []expand.Example{{In: `${sha2_1:a}`, Err: "unrecognised sha2 variant"}},
		},
		{
			Name: "sha3", Doc: "A hash of the SHA-3 family, of 224, 256, 384 or 512 bits.", Underscore: true,
			Apply: func(s *expand.Scope, argument string, subject expand.Value) (expand.Value, error) {
				switch argument {
				case "224":
					return upperHex(sha3.New224(), subject), nil
				case "", "256":
					return upperHex(sha3.New256(), subject), nil
				case "384":
					return upperHex(sha3.New384(), subject), nil
				case "512":
					return upperHex(sha3.New512(), subject), nil
				}
				return expand.Value{}, expand.Fail("unrecognised sha3 variant")
			},
			Examples: []expand.Example{
				{In: `${sha3_224:abc}`, Out: "E642824C3F8CF24AD09234EE7D3C766FC9A3A5168D0C94AD73B46FDF"}, {In: `${sha3_1:a}`, Err: "unrecognised sha3 variant"},
			},
		},
	}
	for _, name := range []string{"hash", "h", "nhash", "nh"} {
		rows = append(rows, expand.Operator{
			Name: name, Doc: "A short hash; the numbers stand after underscores.", Underscore: true,
			ApplyTo: func(s *expand.Scope, o *syntax.Operator, subject expand.Value) (expand.Value, error) {
				if o.Name == name {
					return expand.Value{}, expand.Fail("missing values after %s", name)
				}
				numbers, err := underscoreNumbers(name, o.Argument, 2, false)
				if err != nil {
					return expand.Value{}, err
				}
				if name[0] == 'n' {
					return numberHash(subject, numbers...)
				}
				return textHash(subject, numbers...)
			},
		})
	}
	return rows
}

// digest is an operator that hashes a string, or the DER form of a certificate.
func digest(name string, make func() hash.Hash, large bool, examples ...expand.Example) expand.Operator {
	return expand.Operator{
		Name: name, Doc: "The " + name + " hash of a string, or the fingerprint of a certificate, in hexadecimal.", Examples: examples,
		ApplyTo: func(s *expand.Scope, o *syntax.Operator, subject expand.Value) (expand.Value, error) {
			if c := certificate(s, o.Subject); c != nil {
				subject.S = string(c.Raw)
				v := upperHex(make(), subject)
				return v, nil
			}
			v := upperHex(make(), subject)
			if !large {
				v.S = lower(v.S)
			}
			return v, nil
		},
	}
}

func upperHex(h hash.Hash, subject expand.Value) expand.Value {
	h.Write([]byte(subject.S))
	return expand.Value{S: upper(hex.EncodeToString(h.Sum(nil)))}
}

// baseOperators convert between number bases and encodings.
func baseOperators() []expand.Operator {
	encode := func(s *expand.Scope, o *syntax.Operator, subject expand.Value) (expand.Value, error) {
		if c := certificate(s, o.Subject); c != nil {
			return expand.Value{S: base64.StdEncoding.EncodeToString(c.Raw)}, nil
		}
		subject.S = base64.StdEncoding.EncodeToString([]byte(subject.S))
		return subject, nil
	}
	return []expand.Operator{
		{Name: "base64", Doc: "Encodes in base64.", ApplyTo: encode, Examples: []expand.Example{{In: `${base64:abc}`, Out: "YWJj"}}},
		{Name: "str2b64", Doc: "An old name of base64.", ApplyTo: encode},
		{
			Name: "base64d", Doc: "Decodes base64.", Apply: applyBase64d,
			Examples: []expand.Example{
				{In: `${base64d:YW Jj}`, Out: "abc"}, {In: `${base64d:YWJ}`, Err: `string "YWJ" is not well-formed for "base64d" operator`},
			},
		},
		{
			Name: "hex2b64", Doc: "Converts hexadecimal digits to base64.", Apply: applyHex2b64,
			Examples: []expand.Example{
				{In: `${hex2b64:616263}`, Out: "YWJj"}, {In: `${hex2b64:6162g}`, Err: `"6162g" is not a hex string`},
				{In: `${hex2b64:616}`, Err: `"616" contains an odd number of characters`},
			},
		},
		toBase("base32", base32Digits, 0, expand.Example{In: `${base32:35}`, Out: "bd"}, expand.Example{In: `${base32:0}`}),
		fromBase("base32d", base32Digits, "base 32", expand.Example{In: `${base32d:bd}`, Out: "35"}),
		toBase("base62", base62Digits, 6, expand.Example{In: `${base62:35}`, Out: "00000Z"}),
		fromBase("base62d", base62Digits, "base 62", expand.Example{In: `${base62d:Zz}`, Out: "2231"}),
		{
			Name: "xtextd", Doc: "Decodes xtext (RFC 3461 section 4).", Apply: applyXtextd,
			Examples: []expand.Example{{In: `${xtextd:a+41b}`, Out: "aAb"}},
		},
	}
}

const (
	base32Digits = "abcdefghijklmnopqrstuvwxyz234567"
	base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func applyBase64d(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
	clean := strings.Map(func(r rune) rune {
		if strings.ContainsRune(space, r) {
			return -1
		}
		return r
	}, subject.S)
	data, err := base64.StdEncoding.DecodeString(clean)
	if err != nil {
		return expand.Value{}, expand.Fail("string \"%s\" is not well-formed for \"base64d\" operator", subject.S)
	}
	subject.S = upToZero(string(data))
	return subject, nil
}

func applyHex2b64(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
	if strings.Trim(subject.S, "0123456789abcdefABCDEF") != "" {
		return expand.Value{}, expand.Fail("\"%s\" is not a hex string", subject.S)
	}
	data, err := hex.DecodeString(subject.S)
	if err != nil {
		return expand.Value{}, expand.Fail("\"%s\" contains an odd number of characters", subject.S)
	}
	subject.S = base64.StdEncoding.EncodeToString(data)
	return subject, nil
}

// toBase writes a decimal number with the digits given, padded to a width.
func toBase(name, digits string, width int, examples ...expand.Example) expand.Operator {
	return expand.Operator{
		Name: name, Doc: "Writes a decimal number in another base.", Examples: examples,
		Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
			n, ok := unsigned(subject.S)
			if !ok {
				return expand.Value{}, expand.Fail("argument for %s operator is \"%s\", which is not a decimal number", name, subject.S)
			}
			var out []byte
			for ; n > 0 && (width == 0 || len(out) < width); n /= uint64(len(digits)) {
				out = append(out, digits[n%uint64(len(digits))])
			}
			for len(out) < width {
				out = append(out, digits[0])
			}
			for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
				out[i], out[j] = out[j], out[i]
			}
			return expand.Join(string(out), subject), nil
		},
	}
}

// unsigned reads a decimal number as strtoul(3) does: space and a sign before it, a negative number counts from the end, one that is
// too large is the largest. The empty string is 0.
func unsigned(text string) (n uint64, ok bool) {
	digits := strings.TrimLeft(text, space)
	negative := strings.HasPrefix(digits, "-")
	if negative || strings.HasPrefix(digits, "+") {
		digits = digits[1:]
	}
	if strings.Trim(digits, "0123456789") != "" || digits == "" && text != "" {
		return 0, false
	}
	n, err := strconv.ParseUint("0"+digits, 10, 64)
	if negative && err == nil {
		n = -n
	}
	return n, true
}

// fromBase reads such a number.
func fromBase(name, digits, what string, examples ...expand.Example) expand.Operator {
	return expand.Operator{
		Name: name, Doc: "Reads a number in another base.", Examples: examples,
		Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
			var n uint64
			for i := range len(subject.S) {
				d := strings.IndexByte(digits, subject.S[i])
				if d < 0 {
					return expand.Value{}, expand.Fail("argument for %s operator is \"%s\", which is not a %s number", name, subject.S, what)
				}
				n = n*uint64(len(digits)) + uint64(d)
			}
			return expand.Join(strconv.FormatInt(int64(n), 10), subject), nil
		},
	}
}

func applyXtextd(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
	var b strings.Builder
	for i := 0; i < len(subject.S); i++ {
		c := subject.S[i]
		if c == '+' && i+2 < len(subject.S) {
			if n, err := strconv.ParseUint(subject.S[i+1:i+3], 16, 8); err == nil {
				if n != 0 {
					b.WriteByte(byte(n))
				}
				i += 2
				continue
			}
		}
		b.WriteByte(c)
	}
	subject.S = b.String()
	return subject, nil
}
