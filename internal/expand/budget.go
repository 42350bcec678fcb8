package expand

import "time"

// What one evaluation of an option's text may take, everything nested in it included. No configuration that makes sense comes near: what does
// has been given a list by somebody who means harm.
const (
	maxSteps = 10_000_000       // items of lists, matches, and pieces of text that are worked on
	maxTime  = 10 * time.Minute // a client that waits for an answer has long gone (RFC 5321 section 4.5.3.2)

	// Costly is the number of steps of what leaves the process or may take long: a lookup, a command, a regular expression.
	Costly = 64
	// lookEvery is the number of steps after which the clock is looked at.
	lookEvery = 16 * Costly
	// pieceBits: text is worked on in pieces of 64 bytes.
	pieceBits = 6
)

// budget counts what the evaluation that runs in a scope has taken.
type budget struct {
	steps int
	began time.Time
}

// Spend counts steps of the evaluation that runs in the scope: 1 for each item of a list that is gone through, Costly for what may take long.
// The error says that the evaluation is given up: it has taken too many steps, or too long, or is not wanted any more. Outside an evaluation
// nothing is counted.
func (s *Scope) Spend(steps int) error {
	if s.depth == 0 {
		return nil
	}
	before := s.budget.steps
	s.budget.steps += steps
	if s.budget.steps > maxSteps {
		return Fail("the expansion is given up after %d steps", maxSteps)
	}
	if before > 0 && before/Costly == s.budget.steps/Costly {
		return nil
	}
	if err := s.Ctx.Err(); err != nil {
		return Defer("%s", err)
	}
	if before/lookEvery == s.budget.steps/lookEvery || s.Engine.World == nil || s.Engine.World.Clock == nil {
		return nil
	}
	switch now := s.Engine.World.Clock.Now(); {
	case s.budget.began.IsZero():
		s.budget.began = now
	case now.Sub(s.budget.began) > maxTime:
		return Defer("the expansion is given up after %d minutes", int(maxTime.Minutes()))
	}
	return nil
}

// work counts the work on a text; whether it is too much is found out at the next call of Spend.
func (s *Scope) work(text string) { s.budget.steps += len(text) >> pieceBits }
