package eventlog

import (
	"strings"
	"syscall"
)

// errnoText is strerror: the system's words with a capital letter.
func errnoText(n int) string {
	text := syscall.Errno(n).Error()
	if text == "" || strings.HasPrefix(text, "errno ") {
		return "Unknown error"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
