package acl

import (
	"reflect"

	"exigo/internal/mail"
)

// verification is what is remembered of address verifications for the message at hand.
type verification struct {
	// senders are results by address, with the options they were made with.
	senders map[string][]remembered
	// failure is the last sender that failed; told says that a client has heard the details.
	failure *Verified
	told    bool
	// rewritten says that the message's sender has been through the rewriting rules.
	rewritten bool
	// given is that sender as the client gave it, when the rules changed it.
	given string
	// Variables of the message: $sender_verify_failure and $recipient_verify_failure.
	senderFailure, recipientFailure string
}

type remembered struct {
	options VerifyOptions
	result  Verified
}

func (r *Run) verification() *verification {
	if bag := r.messageBag(); bag != nil {
		return mail.State[verification](bag)
	}
	return &verification{}
}

// senderFailure returns the failed verification of a sender, and whether a client has been told of it.
func (r *Run) senderFailure() (failure *Verified, told bool) {
	bag := r.messageBag()
	if bag == nil {
		return nil, false
	}
	v := mail.Peek[verification](bag)
	if v == nil || v.failure == nil {
		return nil, false
	}
	told, v.told = v.told, true
	if v.failure.NoDetails || told && v.failure.Result != Defer {
		return nil, told
	}
	return v.failure, told
}

// verifySender verifies the message's sender, or another address as a sender.
func verifySender(r *Run, text, value string, options []string) Verdict {
	o := VerifyOptions{Sender: true}
	if verdict := r.parseVerify(text, &o, options); verdict != OK {
		return verdict
	}
	address := r.sender()
	own := value == ""
	if !own {
		address = value
	}
	if address == "" {
		return OK // the null sender
	}
	if r.Services.VerifyAddress == nil {
		return r.Mistake("verify = sender is not supported yet")
	}
	memory := r.verification()
	result, known := memory.find(address, o)
	if !known {
		r.flush(o)
		result = r.Services.VerifyAddress(r.Ctx, r.Scope, address, o)
		result.NoDetails = o.NoDetails
		memory.keep(address, o, result)
		memory.rewritten = memory.rewritten || own && result.Result == OK
		if own && result.Result == OK && result.Address != address && r.Scope.Message != nil {
			// The sender is rewritten for its verification and stays so (spec 31.2).
			memory.given = address
			r.Scope.Message.Sender = result.Address
			memory.keep(result.Address, o, result)
		}
	}
	return r.senderResult(memory, result, o)
}

// senderResult turns the result of a sender verification into a verdict with its texts and variables.
func (r *Run) senderResult(memory *verification, result Verified, o VerifyOptions) Verdict {
	memory.senderFailure = result.Failure
	r.setExtra("sender_verify_failure", mail.Value{S: result.Failure})
	r.setExtra("sender_address_data", result.AddressData)
	switch result.Result {
	case OK:
		return OK
	case Defer:
		if o.DeferOK {
			return OK
		}
	}
	if memory.failure == nil || memory.failure.Address != result.Address {
		memory.failure, memory.told = &result, false
	}
	if result.Result == Defer {
		r.UserMessage = result.UserMessage // "Could not complete sender verify callout"
		if r.UserMessage == "" {
			r.UserMessage = "Could not complete sender verify"
		}
		r.LogMessage = r.UserMessage
		r.setVerifyMessage(r.UserMessage)
		return Defer
	}
	r.UserMessage = "Sender verify failed"
	r.LogMessage = r.UserMessage
	r.setVerifyMessage(r.UserMessage)
	return Fail
}

// find looks for a result made with the same options.
func (v *verification) find(address string, o VerifyOptions) (Verified, bool) {
	for _, m := range v.senders[address] {
		if sameOptions(m.options, o) {
			return m.result, true
		}
	}
	return Verified{}, false
}

func sameOptions(a, b VerifyOptions) bool {
	a.DeferOK, a.NoDetails, b.DeferOK, b.NoDetails = false, false, false, false
	return reflect.DeepEqual(a, b)
}

func (v *verification) keep(address string, o VerifyOptions, result Verified) {
	if v.senders == nil {
		v.senders = make(map[string][]remembered)
	}
	v.senders[address] = append(v.senders[address], remembered{o, result})
}

// flush sends pending output before a callout, unless a control says no.
func (r *Run) flush(o VerifyOptions) {
	if o.Callout != nil && r.Services.Flush != nil && !r.controls().NoCalloutFlush {
		r.Services.Flush(r.Scope)
	}
}

// verifyRecipient verifies the recipient at hand.
func verifyRecipient(r *Run, text, _ string, options []string) Verdict {
	var o VerifyOptions
	if verdict := r.parseVerify(text, &o, options); verdict != OK {
		return verdict
	}
	a := r.Scope.Address
	if r.Services.VerifyAddress == nil || a == nil {
		return r.Mistake("verify = recipient is not supported yet")
	}
	r.flush(o)
	result := r.Services.VerifyAddress(r.Ctx, r.Scope, a.Address, o)
	r.verification().recipientFailure = result.Failure
	r.setExtra("recipient_verify_failure", mail.Value{S: result.Failure})
	a.AddressData = result.AddressData
	r.setExtra("address_data", result.AddressData)
	if result.DomainData.S != "" {
		a.DomainData = result.DomainData
	}
	if result.LocalPartData.S != "" {
		a.LocalPartData = result.LocalPartData
	}
	switch {
	case result.Result == OK, result.Result == Defer && o.DeferOK:
		return OK
	}
	r.UserMessage, r.LogMessage = result.UserMessage, result.LogMessage
	if r.LogMessage == "" {
		r.LogMessage = r.UserMessage
	}
	if result.Failure == "quota" {
		r.setVerifyMessage(r.LogMessage)
		return result.Result
	}
	r.setVerifyMessage(r.UserMessage)
	return result.Result
}

// SenderAsGiven is the sender of the message before a verification rewrote it.
func SenderAsGiven(m *mail.Message) string {
	if v := mail.Peek[verification](&m.Bag); v != nil && v.given != "" {
		return v.given
	}
	return m.Sender
}

// SenderRewritten tells whether a verification has rewritten the sender of the message, so that it is not rewritten again.
func SenderRewritten(m *mail.Message) bool {
	v := mail.Peek[verification](&m.Bag)
	return v != nil && v.rewritten
}
