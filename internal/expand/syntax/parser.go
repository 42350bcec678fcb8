package syntax

// Parser parses texts one after the other into memory that it uses again. It is used by one goroutine at a time.
type Parser struct{ p parser }

// Parse reads the whole text. The result is never nil; it is valid until the next call.
func (r *Parser) Parse(text string, words Words) *Text {
	p := &r.p
	p.reset()
	p.words, p.text, p.parts = words, text, p.parts[:0]
	p.at, p.depth, p.bad, p.openHeader = 0, 0, nil, false
	return p.parseText(false, true)
}

// room is memory for nodes.
type room struct {
	texts      slab[Text]
	literals   slab[Literal]
	operators  slab[Operator]
	variables  slab[Variable]
	numbers    slab[Number]
	items      slab[Item]
	conditions slab[Condition]
	nodes      slab[Node]
}

func (r *room) reset() {
	r.texts.reset()
	r.literals.reset()
	r.operators.reset()
	r.variables.reset()
	r.numbers.reset()
	r.items.reset()
	r.conditions.reset()
	r.nodes.reset()
}

func (r *room) variable(name string, row any) *Variable {
	v := r.variables.next()
	v.Name, v.Row = name, row
	return v
}

func (r *room) numbered(n int) *Number {
	v := r.numbers.next()
	v.N = n
	return v
}

// slab hands out zero values, taken from memory in chunks that grow.
type slab[T any] struct {
	chunk []T
	used  int
}

const (
	chunkMin  = 4
	chunkMax  = 64
	chunkKept = 64 // larger ones are not used again
)

func (s *slab[T]) next() *T { return &s.take(1)[0] }

func (s *slab[T]) take(n int) []T {
	if s.used+n > len(s.chunk) {
		s.chunk, s.used = make([]T, max(n, chunkMin, min(2*len(s.chunk), chunkMax))), 0
	}
	s.used += n
	return s.chunk[s.used-n : s.used : s.used]
}

// reset makes the present chunk ready for use again.
func (s *slab[T]) reset() {
	if s.used == 0 {
		return
	}
	if len(s.chunk) > chunkKept {
		s.chunk = nil
	}
	clear(s.chunk[:min(s.used, len(s.chunk))])
	s.used = 0
}
