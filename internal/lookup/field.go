package lookup

import "strings"

// QuoteField writes a value as query types with several columns do (spec 9.22): in double quotes if it is empty, holds white space
// or begins with a quote; backslashes and quotes in it are then escaped.
func QuoteField(value string) string {
	if value != "" && value[0] != '"' && value[0] != 0 && !strings.ContainsAny(value, " \t\n\r\v\f") {
		return value
	}
	return `"` + fieldEscapes.Replace(value) + `"`
}

var fieldEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
