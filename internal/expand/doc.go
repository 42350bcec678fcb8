// Package expand evaluates expandable strings (spec chapter 11): it finds the words of the language, evaluates trees of
// expand/syntax in a Scope, carries taint along with every value, and runs lookups with their partial and default matching.
// The words themselves are rows in expand/builtin and in the rooms of features.
//
// Trust: the texts are the administrator's; the values of variables come from anybody and are marked as tainted.
package expand
