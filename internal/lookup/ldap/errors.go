package ldap

import (
	"errors"
	"strconv"

	ldapv3 "github.com/go-ldap/ldap/v3"
)

// codeOf is the result code of an error (RFC 4511, appendix A), and its text as OpenLDAP words it. ok is false for what is not a server's.
func codeOf(err error) (code int, text string, ok bool) {
	var e *ldapv3.Error
	if !errors.As(err, &e) || e.ResultCode >= ldapv3.ErrorNetwork {
		return -1, "Can't contact LDAP server", false
	}
	code = int(e.ResultCode)
	return code, textOf(code), true
}

func textOf(code int) string {
	switch code {
	case 0:
		return "Success"
	case 1:
		return "Operations error"
	case 2:
		return "Protocol error"
	case 3:
		return "Time limit exceeded"
	case 4:
		return "Size limit exceeded"
	case 7:
		return "Authentication method not supported"
	case 8:
		return "Strong(er) authentication required"
	case 10:
		return "Referral"
	case 11:
		return "Administrative limit exceeded"
	case 12:
		return "Critical extension is unavailable"
	case 13:
		return "Confidentiality required"
	case 14:
		return "SASL bind in progress"
	case 16:
		return "No such attribute"
	case 17:
		return "Undefined attribute type"
	case 18:
		return "Inappropriate matching"
	case 19:
		return "Constraint violation"
	case 21:
		return "Invalid syntax"
	case 32:
		return "No such object"
	case 33:
		return "Alias problem"
	case 34:
		return "Invalid DN syntax"
	case 36:
		return "Alias dereferencing problem"
	case 48:
		return "Inappropriate authentication"
	case 49:
		return "Invalid credentials"
	case 50:
		return "Insufficient access"
	case 51:
		return "Server is busy"
	case 52:
		return "Server is unavailable"
	case 53:
		return "Server is unwilling to perform"
	case 54:
		return "Loop detected"
	case 80:
		return "Internal (implementation specific) error"
	}
	return "Unknown error " + strconv.Itoa(code)
}
