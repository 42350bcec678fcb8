// Package builtin declares the words of the expansion language that belong to no feature: items, operators, conditions and
// variables of spec chapter 11, one file a family, as rows with examples.
//
// Trust: arguments come from anybody; which words are used the administrator decides. Sizes and loops are bounded by the
// arguments, files and programs are named by untainted text only.
package builtin

import "exigo/internal/expand"

// Words returns all rows of this package, for expand.New.
func Words() expand.Words {
	var w expand.Words
	w.LazyItems = append(w.LazyItems, branchItems()...)
	w.LazyItems = append(w.LazyItems, listItems()...)
	w.LazyItems = append(w.LazyItems, outsideItems()...)
	w.LazyItems = append(w.LazyItems, prvscheckItem())
	w.Items = append(w.Items, textItems()...)
	w.Items = append(w.Items, hashItems()...)
	w.Items = append(w.Items, addressItems()...)
	w.Items = append(w.Items, hookItems()...)
	w.Operators = append(w.Operators, textOperators()...)
	w.Operators = append(w.Operators, quoteOperators()...)
	w.Operators = append(w.Operators, hashOperators()...)
	w.Operators = append(w.Operators, baseOperators()...)
	w.Operators = append(w.Operators, numberOperators()...)
	w.Operators = append(w.Operators, networkOperators()...)
	w.Operators = append(w.Operators, addressOperators()...)
	w.Operators = append(w.Operators, listOperators()...)
	w.Operators = append(w.Operators, charsetOperators()...)
	w.Operators = append(w.Operators, outsideOperators()...)
	w.Conditions = append(w.Conditions, plainConditions()...)
	w.Conditions = append(w.Conditions, secretConditions()...)
	w.LazyConditions = append(w.LazyConditions, lazyConditions()...)
	for _, rows := range [][]expand.Variable{
		momentVariables(), timeVariables(), sessionVariables(), messageVariables(), addressVariables(), tlsVariables(), machineVariables(),
	} {
		w.Variables = append(w.Variables, rows...)
	}
	addExamples(&w)
	return w
}
