package config

import "fmt"

// Error implements error: the text as it stands after "Exim configuration error".
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("Exim configuration error:\n  %s", e.Text)
	}
	return fmt.Sprintf("Exim configuration error in line %d of %s:\n  %s", e.Line, e.File, e.Text)
}
