package route

import (
	"context"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// errorsAddressVerifies tells whether the address of errors_to is a recipient that can be routed; the sender is empty
// meanwhile.
func (e *Engine) errorsAddressVerifies(ctx context.Context, s *expand.Scope, address string) bool {
	v := s.Derive()
	if s.Message != nil {
		m := *s.Message
		m.Sender, m.SenderSet = "", true
		v.Message = &m
	}
	return e.Verify(ctx, v, address, VerifyOptions{}).Result == mail.Delivered
}

// Verify routes an address in verify mode and follows the rules of spec 44.51 for redirection.
func (e *Engine) Verify(ctx context.Context, s *expand.Scope, address string, o VerifyOptions) Verified {
	return Verified{Result: mail.Deferred, Address: address}
}
