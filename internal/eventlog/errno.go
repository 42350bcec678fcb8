package eventlog

import (
	"strings"
	"syscall"
)

// ErrorText is what the log shows for an error number: the system's words with a capital letter, or Exim's for its own kinds of error.
func ErrorText(n int) string { return errnoText(n) }

// errnoText is strerror: the system's words with a capital letter.
func errnoText(n int) string {
	text := syscall.Errno(n).Error()
	if text == "" || strings.HasPrefix(text, "errno ") {
		return "Unknown error"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
