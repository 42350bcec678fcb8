// Package dkim is the room of DomainKeys Identified Mail (spec 58.1 to 58.3): signatures of messages that come in by SMTP are verified while
// the body streams by, the ACL for DKIM runs once for each signer, and the smtp transport signs what goes out.
//
// Trust: signatures, and so domains, identities and header names, are the words of whoever sent the message, and tainted; keys those of the
// domains that they name. The number of signatures, the time for their keys, and the key sizes are bounded here and in proto/dkim. Private keys
// come from the administrator.
package dkim

import (
	"strings"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/dkim"
	"exigo/internal/submit"
	"exigo/internal/transport"
)

// settings are the room's options of the smtp transport. The options of the main section are in config.Main.
type settings struct {
	canon, domain, hash, identity, privateKey, selector, signHeaders, strict, timestamps option.Expanded
}

// Feature is the room.
func Feature() *feature.Feature {
	s := &signer{}
	names := strings.Join(dkim.DefaultNames(), ":")
	return &feature.Feature{
		Name: "dkim", Support: "DKIM", Doc: "DomainKeys Identified Mail: signatures of domains over header and body.",
		Macros: []string{"_DKIM_OVERSIGN_HEADERS=+" + strings.ReplaceAll(names, ":", ":+"), "_DKIM_SIGN_HEADERS=" + names, "_CRYPTO_SIGN_ED25519"},
		Options: []option.Set{option.Table[settings]{Scope: "transport smtp", Rows: []option.Row[settings]{
			{Name: "dkim_canon", Field: func(s *settings) any { return &s.canon }, Doc: "Canonicalization of header and body when signing: relaxed or simple."},
			{Name: "dkim_domain", Field: func(s *settings) any { return &s.domain }, Doc: "Domains that sign messages."},
			{Name: "dkim_hash", Default: "sha256", Field: func(s *settings) any { return &s.hash }, Doc: "Hash of signatures: sha256, sha512, or sha1 which nobody accepts any more."},
			{Name: "dkim_identity", Field: func(s *settings) any { return &s.identity }, Doc: "Identity of the signer: the i= tag."},
			{Name: "dkim_private_key", Field: func(s *settings) any { return &s.privateKey }, Doc: "The private key, or the file with it; 0, false or nothing: no signature."},
			{Name: "dkim_selector", Field: func(s *settings) any { return &s.selector }, Doc: "Selectors, for each of which the domain signs."},
			{Name: "dkim_sign_headers", Field: func(s *settings) any { return &s.signHeaders }, Doc: "Names of header lines to sign; = before one takes all lines, + one more that is missing."},
			{Name: "dkim_strict", Field: func(s *settings) any { return &s.strict }, Doc: "Whether a message that cannot be signed is deferred: 1 or true."},
			{Name: "dkim_timestamps", Field: func(s *settings) any { return &s.timestamps }, Doc: "Seconds for which a signature is good; with it the time of signing and the end are told."},
		}}},
		Variables: variables(),
		Conditions: []acl.Condition{
			{Name: "dkim_signers", Phases: acl.Phases(acl.DKIM), Check: checkSigners, Doc: "Tests the signer at hand against a list of domains and identities."},
			{Name: "dkim_status", Phases: acl.Phases(acl.DKIM, acl.PRDR, acl.Data), Check: checkStatus, Doc: "Tests the results of the verification against a list."},
		},
		Settings: []acl.Setting{
			{Name: "dkim_verify_reason", Doc: "Replaces the reason of the result of the signature at hand.", Set: setReason},
			{Name: "dkim_verify_status", Doc: "Replaces the result of the signature at hand.", Set: setStatus},
		},
		Reception: []submit.Room{{Name: "dkim", Body: body, Check: check}},
		Signers:   []*transport.Signer{{Name: "dkim", Doc: "Signs messages by the dkim options of the transport.", Wanted: wanted, Sign: s.sign}},
		Tags:      []eventlog.Tag{{Name: "DKIM", Doc: "a domain whose signature is good; on delivery lines domains and selectors of the signatures made", Place: eventlog.BeforeID, Received: received, Delivered: delivered}},
	}
}

// variables are the room's variables. Most tell about the signature at hand.
func variables() []expand.Variable {
	return []expand.Variable{
		ofSignature("dkim_algo", "The algorithm of the signature.", "", func(r *dkim.Result) string { return r.Algorithm.String() }),
		ofSignature("dkim_bodylength", "The number of body bytes signed.", noLimit, func(r *dkim.Result) string { return number(r.Limit, noLimit) }),
		ofSignature("dkim_canon_body", "The canonicalization of the body.", "", func(r *dkim.Result) string { return r.Body.String() }),
		ofSignature("dkim_canon_headers", "The canonicalization of the header.", "", func(r *dkim.Result) string { return r.Header.String() }),
		ofSignature("dkim_copiedheaders", "Header lines that the signature holds a copy of.", "", func(r *dkim.Result) string { return r.Copied }),
		ofSignature("dkim_created", "When the signature was made.", "0", func(r *dkim.Result) string { return number(r.Created, "0") }),
		ofState("dkim_cur_signer", "The signer for whom the ACL runs.", func(st *state) expand.Value { return mail.Taint(st.signer) }),
		signing("dkim_domain", "The signing domain.", func(r *dkim.Result) string { return r.Domain }),
		ofSignature("dkim_expires", "When the signature ends.", noLimit, func(r *dkim.Result) string { return number(r.Expires, noLimit) }),
		ofSignature("dkim_headernames", "The names of the header lines signed.", "", func(r *dkim.Result) string { return strings.Join(r.Names, ":") }),
		ofSignature("dkim_identity", "The identity of the signer.", "", func(r *dkim.Result) string { return r.Identity }),
		ofKey("dkim_key_granularity", "The granularity of the key.", "*", func(k *dkim.Key) string { return k.Granularity }),
		{Name: "dkim_key_length", Doc: "The size of the key in bits.", Get: keyLength},
		ofKey("dkim_key_nosubdomains", "Whether the key is not for subdomains.", "0", func(k *dkim.Key) string { return flag(k.Strict()) }),
		ofKey("dkim_key_notes", "Notes in the key's record.", "", func(k *dkim.Key) string { return k.Notes }),
		ofKey("dkim_key_srvtype", "The service type of the key.", "*", func(k *dkim.Key) string {
			if k.Services == nil {
				return "*"
			}
			return strings.Join(k.Services, ":")
		}),
		ofKey("dkim_key_testing", "Whether the domain only tests DKIM.", "0", func(k *dkim.Key) string { return flag(k.Testing()) }),
		signing("dkim_selector", "The selector of the key.", func(r *dkim.Result) string { return r.Selector }),
		ofState("dkim_signers", "All domains and identities that signed the message.", func(st *state) expand.Value { return mail.Taint(st.signers) }),
		ofState("dkim_verify_reason", "Why the verification failed.", func(st *state) expand.Value { return mail.Taint(st.reason) }),
		ofState("dkim_verify_signers", "The signers for whom the ACL runs.", func(st *state) expand.Value { return mail.Taint(st.verifySigners) }),
		ofState("dkim_verify_status", "The result of the verification; after the ACL for DKIM the list of all results.", func(st *state) expand.Value { return mail.Taint(st.status) }),
	}
}
