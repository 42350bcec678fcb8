package dkim

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/proto/dkim"
	"exigo/internal/submit"
)

// A message with more signatures, or a line of its body longer than this, is not verified; nor is one signed with such a line.
const (
	maxSignatures = 19
	maxLine       = 16381
)

// body prepares the verification of a message that comes in by SMTP.
func body(_ context.Context, s *expand.Scope, m *mail.Message) io.WriteCloser {
	if m.Session == nil || !m.Session.SMTP || m.Session.Batch || m.Controls.DKIMDisable {
		return nil
	}
	fields := make([]string, len(m.AsArrived))
	for i, h := range m.AsArrived {
		fields[i] = h.Text
	}
	main := option.Of[config.Main](s.Config.MainOptions())
	p := dkim.Policy{KeyTypes: main.DKIMVerifyKeyTypes, Hashes: main.DKIMVerifyHashes, MinBits: sizes(main.DKIMVerifyMinKeySizes), MaxSignatures: maxSignatures,
		MaxLine: maxLine, Minimal: main.DKIMVerifyMinimal, OnlyLF: true}
	v, err := dkim.NewVerifier(p, fields)
	if err != nil {
		mail.State[state](&m.Bag).problem = "EXCESS_SIGS"
		if log := s.Engine.Hooks.Log; log != nil {
			log("", "DKIM: validation error: EXCESS_SIGS")
		}
		return nil
	}
	mail.State[state](&m.Bag).verifier = v // without signatures too: a line that is too long is reported
	return v
}

// sizes reads dkim_verify_min_keysizes: "rsa=1024 ed25519=250".
func sizes(text string) map[string]int {
	out := map[string]int{}
	for _, item := range strings.Fields(text) {
		name, value, _ := strings.Cut(item, "=")
		if n, err := strconv.Atoi(value); err == nil {
			out[strings.ToLower(name)] = n
		}
	}
	return out
}

// resolver asks the world's DNS for key records.
func resolver(world *outside.World) dkim.TXT {
	return func(ctx context.Context, name string) ([]string, error) {
		texts, err := world.Texts(ctx, name)
		if errors.Is(err, outside.ErrNoData) {
			err = dkim.ErrNoRecord
		}
		return texts, err
	}
}

// check verifies the signatures and runs the ACL for the signers.
func check(ctx context.Context, s *expand.Scope, m *mail.Message, _ *io.SectionReader) (acl.Phase, acl.Outcome) {
	st := mail.Peek[state](&m.Bag)
	if st == nil {
		return acl.DKIM, acl.Outcome{}
	}
	if st.verifier != nil {
		results, err := st.verifier.Verify(ctx, resolver(s.World()))
		st.verifier = nil
		if err != nil {
			st.problem = "LONG_LINE"
			s.Log("DKIM: validation error: LONG_LINE")
		}
		for _, r := range results {
			st.results = append(st.results, &judged{Result: r})
		}
	}
	if st.problem != "" {
		s.Log("DKIM: Error during validation, disabling signature verification: %s", st.problem)
		return acl.DKIM, acl.Outcome{}
	}
	st.reportKeys(s)
	st.signers = st.list()
	st.publish(m)
	outcome := st.run(ctx, s, m)
	st.publish(m)
	return acl.DKIM, outcome
}

// reportKeys logs which keys could not be had.
func (st *state) reportKeys(s *expand.Scope) {
	for _, j := range st.results {
		switch j.Reason {
		case dkim.KeyTemporary, dkim.NoKey, dkim.BadRecord, dkim.BadKey:
			s.Log("DKIM: d=%s s=%s [failed key import]", j.Domain, j.Selector)
			if j.Reason == dkim.BadKey && !errors.Is(j.Err, dkim.ErrKeyRevoked) {
				s.Log("DKIM: validation error: %v", j.Err)
			}
		}
	}
}

// list is the value of $dkim_signers.
func (st *state) list() string {
	var items []string
	for _, j := range st.results {
		if j.Domain != "" {
			items = append(items, double(j.Domain))
			if j.Identity != "" {
				items = append(items, double(j.Identity))
			}
		}
	}
	return strings.Join(items, ":")
}

// double makes a text an item of a list.
func double(item string) string { return strings.ReplaceAll(item, ":", "::") }

// publish puts the results among the message's verdicts, in the place of earlier ones.
func (st *state) publish(m *mail.Message) {
	kept := m.Verdicts[:0:0]
	for _, v := range m.Verdicts {
		if v.Method != "dkim" {
			kept = append(kept, v)
		}
	}
	for _, j := range st.results {
		kept = append(kept, j.verdict())
	}
	m.Verdicts = kept
}

// run runs the ACL once for each signature of each signer of dkim_verify_signers, or only reports the signatures where there is no ACL or no
// signer.
func (st *state) run(ctx context.Context, s *expand.Scope, m *mail.Message) acl.Outcome {
	main := option.Of[config.Main](s.Config.MainOptions())
	if main.ACLSMTPDKIM == "" {
		st.report(s, st.results...)
		return acl.Outcome{}
	}
	v, err := s.Engine.Expand(s, string(main.DKIMVerifySigners))
	if err != nil {
		s.Panic("expansion of dkim_verify_signers option failed: %v", err)
		return acl.Outcome{}
	}
	st.verifySigners = v.S
	_, signers := expand.SplitList(v.S)
	var statuses []string
	seen := map[string]bool{}
	for _, signer := range signers {
		if signer = strings.TrimSpace(signer); signer == "" || seen[signer] {
			continue
		}
		seen[signer] = true
		for _, j := range st.signedBy(signer) {
			st.take(signer, j)
			outcome := submit.RunACL(ctx, s, m, acl.DKIM, string(main.ACLSMTPDKIM))
			if j != nil {
				st.report(s, j)
			}
			statuses = append(statuses, double(st.status))
			if outcome.Verdict != acl.OK {
				return outcome
			}
		}
	}
	if len(seen) == 0 {
		st.report(s, st.results...)
	}
	st.status = strings.Join(statuses, ":")
	return acl.Outcome{}
}

// signedBy finds the signatures of a domain or identity; a single nil when there is none.
func (st *state) signedBy(signer string) (list []*judged) {
	for _, j := range st.results {
		if strings.EqualFold(j.Domain, signer) || j.Identity != "" && strings.EqualFold(j.Identity, signer) {
			list = append(list, j)
		}
	}
	if list == nil {
		return []*judged{nil}
	}
	return list
}

// take makes a signature the one at hand.
func (st *state) take(signer string, j *judged) {
	st.signer, st.current, st.status, st.reason = signer, j, "none", ""
	if j == nil {
		return
	}
	w := wordsFor(j.Reason)
	if st.status, st.reason = w.status, w.reason; j.replaced {
		st.status, st.reason = j.status, j.reason
	}
	st.keyLength = 0
	if j.Key != nil {
		st.keyLength = j.Key.Public.Bits()
	}
}

// report logs signatures, and remembers the domain of the last good one.
func (st *state) report(s *expand.Scope, list ...*judged) {
	for _, j := range list {
		s.LogSelected("dkim_verbose", "%s", j.line())
		if j.Reason == dkim.Good && !j.replaced {
			st.domain = j.Domain
		}
	}
}

// checkSigners tests the signer at hand against a list.
func checkSigners(r *acl.Run, argument mail.Value) acl.Verdict {
	st := stateOf(r.Scope)
	if st == nil {
		return acl.Fail
	}
	return matches(r, argument, st.signer)
}

// checkStatus tests the result at hand, or after the ACL for DKIM any of the results, against a list. Where there is no result it is none.
func checkStatus(r *acl.Run, argument mail.Value) acl.Verdict {
	status := ""
	if st := stateOf(r.Scope); st != nil {
		status = st.status
	}
	_, results := expand.SplitList(status)
	if len(results) == 0 {
		results = []string{"none"}
	}
	if r.Phase == acl.DKIM {
		results = []string{status}
	}
	for _, result := range results {
		if v := matches(r, argument, result); v != acl.Fail {
			return v
		}
	}
	return acl.Fail
}

func matches(r *acl.Run, list mail.Value, subject string) acl.Verdict {
	m, err := r.Services.Lists.String(r.Scope, list.S, subject)
	if err != nil {
		return r.Deferred(err.Error())
	}
	if m.Matched {
		return acl.OK
	}
	return acl.Fail
}

// setStatus and setReason let the ACL have the last word.
func setStatus(r *acl.Run, v mail.Value) acl.Verdict {
	return set(r, func(st *state) { st.status = v.S })
}

func setReason(r *acl.Run, v mail.Value) acl.Verdict {
	return set(r, func(st *state) { st.reason = v.S })
}

func set(r *acl.Run, change func(*state)) acl.Verdict {
	if st := stateOf(r.Scope); st != nil {
		change(st)
		if j := st.current; j != nil && r.Phase == acl.DKIM {
			j.replaced, j.status, j.reason = true, st.status, st.reason
		}
	}
	return acl.OK
}
