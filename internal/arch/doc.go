// Package arch holds tests of the tree itself: which package may import which, how long files and functions are, that every package says
// what it is and whom it trusts, and that nothing is registered or kept in globals. It has no code of its own.
//
// Trust: reads the project's own sources.
package arch
