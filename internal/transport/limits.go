package transport

import (
	"reflect"

	"exigo/internal/expand"
	"exigo/internal/option"
)

// Limits say which addresses may share one run of a remote transport.
type Limits struct {
	// MaxRecipients is the largest number of addresses, 0 for any.
	MaxRecipients int
	// MultiDomain lets addresses of different domains share a run.
	MultiDomain bool
}

// Limits returns the limits for the address of the scope. Transports without a say of their own take one address at a time.
func (t *Transport) Limits(s *expand.Scope) Limits {
	if t.Driver.Limits == nil {
		return Limits{MaxRecipients: 1}
	}
	return t.Driver.Limits(t, s)
}

// Texts are the texts of all string options of the transport, for those who look for variables in them (spec chapter 25).
func (t *Transport) Texts() []string { return t.texts }

// optionTexts collects the non-empty texts of a settings value's string options.
func optionTexts(sets []option.Set, bag option.Bag) []string {
	var out []string
	for _, set := range sets {
		settings, ok := bag[set.Type()]
		if !ok {
			continue
		}
		for _, row := range set.Describe() {
			field, ok := set.Field(settings, row.Name)
			if !ok || row.AliasOf != "" || row.Name == "event_action" { // an event of several addresses is raised for each
				continue
			}
			v := reflect.ValueOf(field).Elem()
			switch f := v.Interface().(type) {
			case option.ExpandedBool:
				out = appendText(out, string(f.Text))
			case []string:
				for _, s := range f {
					out = appendText(out, s)
				}
			default:
				if v.Kind() == reflect.String {
					out = appendText(out, v.String())
				}
			}
		}
	}
	return out
}

func appendText(out []string, s string) []string {
	if s == "" {
		return out
	}
	return append(out, s)
}
