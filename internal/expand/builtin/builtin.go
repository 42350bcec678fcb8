// Package builtin declares the words of the expansion language that belong to no feature: items, operators, conditions and
// variables of spec chapter 11, one file a family, as rows with examples.
//
// Trust: arguments come from anybody; which words are used the administrator decides. Sizes and loops are bounded by the
// arguments, files and programs are named by untainted text only.
package builtin

import (
	"slices"

	"exigo/internal/expand"
)

// Words returns all rows of this package, for expand.New.
func Words() expand.Words {
	w := expand.Words{
		LazyItems: slices.Concat(branchItems(), listItems(), outsideItems(), []expand.LazyItem{prvscheckItem()}),
		Items:     slices.Concat(textItems(), hashItems(), addressItems(), hookItems()),
		Operators: slices.Concat(textOperators(), quoteOperators(), hashOperators(), baseOperators(), numberOperators(), networkOperators(),
			addressOperators(), listOperators(), charsetOperators(), outsideOperators()),
		Conditions:     slices.Concat(plainConditions(), secretConditions()),
		LazyConditions: lazyConditions(),
		Variables: slices.Concat(momentVariables(), timeVariables(), sessionVariables(), messageVariables(), addressVariables(), tlsVariables(),
			machineVariables()),
	}
	addExamples(&w)
	return w
}
