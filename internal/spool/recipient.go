package spool

import (
	"fmt"
	"strconv"
	"strings"

	"exigo/internal/mail"
)

// parseRecipient reads a recipient line from its end: "address", or "address errors_to length,parent#1", or with DSN data
// "address orcpt length,notify errors_to length,parent#3".
func parseRecipient(line string) (mail.Recipient, error) {
	r := mail.Recipient{Parent: -1}
	hash := strings.LastIndexByte(line, '#')
	flags, err := strconv.Atoi(line[hash+1:])
	if hash < 0 || err != nil || !isDecimal(line[hash+1:]) || strings.LastIndexByte(line[:max(hash, 0)], ',') < 0 {
		r.Address = line
		return r, checkAddress(line)
	}
	rest := line[:hash]
	if flags&flagErrorsTo != 0 {
		if rest, r.ErrorsTo, r.Parent, err = counted(rest); err != nil {
			return r, err
		}
	}
	if flags&flagDSN != 0 {
		var bits int
		if rest, r.ORCPT, bits, err = counted(rest); err != nil {
			return r, err
		}
		for _, p := range notifyPairs() {
			if bits&p.file != 0 {
				r.Notify |= p.noun
			}
		}
	}
	r.Address = rest
	return r, checkAddress(rest)
}

func checkAddress(a string) error {
	if a == "" {
		return fmt.Errorf("empty recipient")
	}
	return nil
}

func isDecimal(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// counted takes " text length,number" from the end of rest.
func counted(rest string) (before, text string, number int, err error) {
	comma := strings.LastIndexByte(rest, ',')
	space := -1
	if comma >= 0 {
		space = strings.LastIndexByte(rest[:comma], ' ')
	}
	if space < 0 {
		return "", "", 0, fmt.Errorf("recipient line %q", rest)
	}
	n, err1 := strconv.Atoi(rest[space+1 : comma])
	number, err2 := strconv.Atoi(rest[comma+1:])
	if err1 != nil || err2 != nil || n < 0 || n+1 > space || rest[space-n-1] != ' ' {
		return "", "", 0, fmt.Errorf("recipient line %q", rest)
	}
	return rest[:space-n-1], rest[space-n : space], number, nil
}
