package expand

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"exigo/internal/expand/syntax"
)

// trees keeps parsed texts. A text is kept when it comes for the second time, so that those that come once, because data is part of them,
// cost nothing. It is safe for concurrent use and has no locks: who finds his place taken by another text replaces that.
type trees struct {
	words   *words
	seed    maphash.Seed
	parsers sync.Pool // of *syntax.Parser
	kept    [treeSets * treeWays]atomic.Pointer[keptTree]
	seen    [treesSeen]atomic.Uint64 // hashes of texts that came
}

type keptTree struct {
	text string
	tree *syntax.Text
}

const (
	treeSets  = 1024
	treeWays  = 4 // places for texts whose hashes point to the same set
	treesSeen = 2048
	treeText  = 16384 // longer texts are not kept
)

// get returns the tree of a text. If parser is not nil, the tree is in its memory: it is given back when the tree is not needed any more.
func (t *trees) get(text string) (tree *syntax.Text, parser *syntax.Parser) {
	hash := maphash.String(t.seed, text)
	seen := &t.seen[hash%treesSeen]
	if seen.Load() != hash || len(text) > treeText {
		seen.Store(hash)
		if parser, _ = t.parsers.Get().(*syntax.Parser); parser == nil {
			parser = &syntax.Parser{}
		}
		return parser.Parse(text, t.words), parser
	}
	set := t.kept[hash%treeSets*treeWays:][:treeWays]
	place := &set[hash>>32%treeWays]
	for i := range set {
		k := set[i].Load()
		if k == nil {
			place = &set[i]
		} else if k.text == text {
			return k.tree, nil
		}
	}
	tree = syntax.Parse(text, t.words)
	place.Store(&keptTree{text, tree})
	return tree, nil
}
