package builtin

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
	"exigo/internal/proto/address"
)

// addressOperators take mail addresses apart.
func addressOperators() []expand.Operator {
	part := func(name, doc string, take func(address.Mailbox) string, examples ...expand.Example) expand.Operator {
		return expand.Operator{Name: name, Doc: doc, Examples: examples, Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
			box, err := address.Extract(subject.S, address.Options{AllowLiterals: s.Settings().AllowDomainLiterals})
			if subject.S = ""; err == nil {
				subject.S = take(box)
			}
			return subject, nil
		}}
	}
	return []expand.Operator{
		part("address", "Gives the address out of a text with names and comments.", func(b address.Mailbox) string { return b.Address },
			expand.Example{In: `${address:a b <c@d.e>}`, Out: "c@d.e"}, expand.Example{In: `${address:a@b (c), d@e}`}),
		part("domain", "Gives the domain of an address.", address.Mailbox.DomainPart, expand.Example{In: `${domain:a b <c@D.e>}`, Out: "D.e"}),
		part("local_part", "Gives the local part of an address.", address.Mailbox.LocalPart,
			expand.Example{In: `${local_part:a b <"c d"@d.e>}`, Out: `"c d"`}),
		{
			Name: "addresses", Doc: "Gives the addresses of a list in a header field, as a colon-separated list.", Apply: applyAddresses,
			Examples: []expand.Example{
				{In: `${addresses:>& Chief <ceo@up.stairs>, sec@base.ment (dogsbody)}`, Out: "ceo@up.stairs&sec@base.ment"},
				{In: `${addresses:From: Last, First <user@example.com>}`, Out: "Last:user@example.com"},
			},
		},
	}
}

func applyAddresses(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
	separator, text := byte(':'), strings.TrimLeft(subject.S, space)
	if len(text) > 1 && text[0] == '>' {
		separator, text = text[1], text[2:]
	}
	var out []byte
	list := address.NewList(text, address.Options{AllowLiterals: s.Settings().AllowDomainLiterals})
	for {
		item, ok := list.Next()
		if !ok {
			break
		}
		if item.Err == nil && item.Mailbox.Address != "" {
			out = expand.AppendElement(out, len(out) == 0, separator, item.Mailbox.Address)
		}
	}
	return expand.Join(string(out), subject), nil
}

// addressItems sign addresses.
func addressItems() []expand.Item {
	return []expand.Item{{
		Name: "prvs", Doc: "Signs an address for bounce address tag validation.", Min: 2, Max: 3, Eval: evalPrvs,
		Examples: []expand.Example{
			{In: `${prvs{a@b}{secret}{55}}`, Err: "prvs third argument must be a single digit"},
			{In: `${prvs{ab}{secret}{1}}`, Err: "prvs first argument must be a qualified email address"},
		},
	}}
}

// prvsDay counts days modulo 1000; a signature is good for seven of them.
func prvsDay(now time.Time, ahead int) int { return (int(now.Unix()/86400) + ahead) % 1000 }

// prvsHash is the first half dozen digits of HMAC-SHA1 over key number, day and address.
func prvsHash(secret, key string, day, address string) string {
	h := hmac.New(sha1.New, []byte(secret))
	fmt.Fprintf(h, "%s%s%s", key, day, address)
	return hex.EncodeToString(h.Sum(nil))[:6]
}

func evalPrvs(s *expand.Scope, args []expand.Value) (expand.Value, error) {
	local, domain := address.Split(args[0].S)
	if domain == "" {
		return expand.Value{}, expand.Fail("prvs first argument must be a qualified email address")
	}
	key := "0"
	if len(args) > 2 && args[2].S != "" {
		key = args[2].S
		if len(key) != 1 || key[0] < '0' || key[0] > '9' {
			return expand.Value{}, expand.Fail("prvs third argument must be a single digit")
		}
	}
	day := fmt.Sprintf("%03d", prvsDay(s.Engine.World.Clock.Now(), 7))
	text := "prvs=" + key + day + prvsHash(args[1].S, key, day, args[0].S) + "=" + local + "@" + domain
	return expand.Join(text, args[0]), nil
}

// prvscheckItem verifies what prvs signed. Its second and third arguments are evaluated when the address is taken apart.
func prvscheckItem() expand.LazyItem {
	return expand.LazyItem{
		Name: "prvscheck", Doc: "Checks an address signed by prvs and gives the original.",
		Shape: syntax.Shape{Form: syntax.FormArgs, Min: 2, Max: 3, Before: 1}, Eval: evalPrvscheck,
		Examples: []expand.Example{
			{In: `${prvscheck{a@b}{secret}}`}, {In: `${prvscheck{prvs=5123abcdef=a@b}{secret}}`, Out: "a@b"},
			{In: `${prvscheck{prvs=5123abcdef=a@b}{s}{$prvscheck_address-$prvscheck_keynum-$prvscheck_result}}-$prvscheck_address`, Out: "a@b-5--"},
		},
	}
}

func evalPrvscheck(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	signed, err := s.Text(it.Args[0])
	if err != nil {
		return expand.Value{}, err
	}
	key, day, hash, original, ok := splitPrvs(signed.S)
	if !ok {
		return expand.Value{}, nil
	}
	plain := expand.Join(original, signed)
	defer s.SetExtra("prvscheck_address", plain)()
	defer s.SetExtra("prvscheck_keynum", expand.Value{S: key})()
	secret, err := s.Text(it.Args[1])
	if err != nil {
		return expand.Value{}, err
	}
	result := ""
	if prvsHash(secret.S, key, day, original) == hash {
		expires, _ := strconv.Atoi(day)
		if days := (expires - prvsDay(s.Engine.World.Clock.Now(), 0) + 1000) % 1000; days <= 7 {
			result = "1"
		}
	}
	s.SetExtra("prvscheck_result", expand.Value{S: result}) // this one stays set
	if len(it.Args) > 2 {
		v, err := s.Text(it.Args[2])
		if err != nil || v.S != "" {
			return v, err
		}
	}
	return plain, nil
}

// splitPrvs takes prvs=KDDDHHHHHH=address apart.
func splitPrvs(text string) (key, day, hash, original string, ok bool) {
	if len(text) < 16 || !strings.EqualFold(text[:5], "prvs=") {
		return
	}
	tag, original, ok := strings.Cut(text[5:], "=")
	if !ok || len(tag) != 10 || strings.Trim(tag[:4], "0123456789") != "" || strings.Trim(tag[4:], "0123456789abcdefABCDEF") != "" {
		return "", "", "", "", false
	}
	if at := strings.LastIndexByte(original, '@'); at < 1 || at == len(original)-1 {
		return "", "", "", "", false
	}
	return tag[:1], tag[1:4], tag[4:], original, true
}
