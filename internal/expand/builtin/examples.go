package builtin

import "exigo/internal/expand"

// addExamples gives an example to the rows that are made in loops. Exim's answers are the same.
func addExamples(w *expand.Words) {
	items := map[string]expand.Example{
		"env":         {In: `${env{NO_SUCH_VARIABLE}{y}{n}}`, Out: `n`},
		"authresults": {In: `${authresults{mail.example}}`, Out: `Authentication-Results: mail.example`},
	}
	operators := map[string]expand.Example{
		"h":                          {In: `${h_1:a}`, Out: `a`},
		"hash":                       {In: `${hash_5:monty}`, Out: `monty`},
		"l":                          {In: `${l_2:abc}`, Out: `ab`},
		"length":                     {In: `${length_2:abc}`, Out: `ab`},
		"nh":                         {In: `${nh_8_64:supercalifragilisticexpialidocious}`, Out: `6/33`},
		"nhash":                      {In: `${nhash_100:abc}`, Out: `36`},
		"s":                          {In: `${s_1_2:abcdef}`, Out: `bc`},
		"substr":                     {In: `${substr_-5_2:1234567}`, Out: `34`},
		"sha256":                     {In: `${sha256:abc}`, Out: `BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD`},
		"str2b64":                    {In: `${str2b64:abc}`, Out: `YWJj`},
		"utf8_domain_from_alabel":    {In: `${utf8_domain_from_alabel:xn--mnchen-3ya.example}`, Out: `münchen.example`},
		"utf8_localpart_from_alabel": {In: `${utf8_localpart_from_alabel:xn--mller-kva}`, Out: `müller`},
	}
	conditions := map[string]expand.Example{
		"<":              {In: `${if <{1}{2}{y}{n}}`, Out: `y`},
		"<=":             {In: `${if <={2}{2}{y}{n}}`, Out: `y`},
		"=":              {In: `${if ={1K}{1024}{y}{n}}`, Out: `y`},
		"==":             {In: `${if =={3}{4}{y}{n}}`, Out: `n`},
		">":              {In: `${if >{10}{9}{y}{n}}`, Out: `y`},
		">=":             {In: `${if >={-1}{0}{y}{n}}`, Out: `n`},
		"eq":             {In: `${if eq{a}{A}{y}{n}}`, Out: `n`},
		"eqi":            {In: `${if eqi{a}{A}{y}{n}}`, Out: `y`},
		"first_delivery": {In: `${if first_delivery{y}{n}}`, Out: `n`},
		"queue_running":  {In: `${if queue_running{y}{n}}`, Out: `n`},
		"forall":         {In: `${if forall{a:b}{eq{$item}{a}}{y}{n}}`, Out: `n`},
		"forany":         {In: `${if forany{a:b}{eq{$item}{b}}{y}{n}}`, Out: `y`},
		"forall_json":    {In: `${if forall_json{[1,1]}{eq{$item}{1}}{y}{n}}`, Out: `y`},
		"forall_jsons":   {In: `${if forall_jsons{["a","a"]}{eq{$item}{a}}{y}{n}}`, Out: `y`},
		"forany_json":    {In: `${if forany_json{["a","b"]}{eq{$item}{"b"}}{y}{n}}`, Out: `y`},
		"forany_jsons":   {In: `${if forany_jsons{["a","b"]}{eq{$item}{b}}{y}{n}}`, Out: `y`},
		"ge":             {In: `${if ge{b}{a}{y}{n}}`, Out: `y`},
		"gei":            {In: `${if gei{B}{b}{y}{n}}`, Out: `y`},
		"gt":             {In: `${if gt{a}{b}{y}{n}}`, Out: `n`},
		"gti":            {In: `${if gti{B}{a}{y}{n}}`, Out: `y`},
		"le":             {In: `${if le{a}{a}{y}{n}}`, Out: `y`},
		"lei":            {In: `${if lei{A}{a}{y}{n}}`, Out: `y`},
		"lt":             {In: `${if lt{a}{b}{y}{n}}`, Out: `y`},
		"lti":            {In: `${if lti{a}{B}{y}{n}}`, Out: `y`},
		"isip":           {In: `${if isip{192.0.2.1}{y}{n}}`, Out: `y`},
		"isip4":          {In: `${if isip4{2001:db8::1}{y}{n}}`, Out: `n`},
		"isip6":          {In: `${if isip6{2001:db8::1}{y}{n}}`, Out: `y`},
	}
	fill := func(examples *[]expand.Example, from map[string]expand.Example, name string) {
		if e, ok := from[name]; ok && len(*examples) == 0 {
			*examples = []expand.Example{e}
		}
	}
	for i := range w.LazyItems {
		fill(&w.LazyItems[i].Examples, items, w.LazyItems[i].Name)
	}
	for i := range w.Items {
		fill(&w.Items[i].Examples, items, w.Items[i].Name)
	}
	for i := range w.Operators {
		fill(&w.Operators[i].Examples, operators, w.Operators[i].Name)
	}
	for i := range w.Conditions {
		fill(&w.Conditions[i].Examples, conditions, w.Conditions[i].Name)
	}
	for i := range w.LazyConditions {
		fill(&w.LazyConditions[i].Examples, conditions, w.LazyConditions[i].Name)
	}
}
