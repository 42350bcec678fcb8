package dmarc

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"exigo/internal/proto/dmarc"
)

// element is an element of the schema of RFC 9990 appendix A: its children in their order, each with "?" (at most one), "*" (any number), "+" (at least
// one) or nothing (exactly one) behind its name; or, without children, the form of its text.
type element struct{ children, text string }

const (
	domainText = `[a-z0-9_-]+(\.[a-z0-9_-]+)*`
	results    = `none|pass|fail|policy|neutral|temperror|permerror`
)

// reportSchema has the elements by their paths.
var reportSchema = map[string]element{
	"feedback":                          {children: "version report_metadata policy_published record+"},
	"feedback/version":                  {text: `1\.0`},
	"report_metadata":                   {children: "org_name email extra_contact_info? report_id date_range error* generator?"},
	"report_metadata/org_name":          {text: `.+`},
	"report_metadata/email":             {text: `\S+@\S+`},
	"report_metadata/report_id":         {text: `\S+`},
	"report_metadata/generator":         {text: `.*`},
	"report_metadata/date_range":        {children: "begin end"},
	"date_range/begin":                  {text: `-?\d+`},
	"date_range/end":                    {text: `-?\d+`},
	"policy_published":                  {children: "domain discovery_method? p sp? np? adkim? aspf? fo? testing?"},
	"policy_published/domain":           {text: domainText},
	"policy_published/discovery_method": {text: `psl|treewalk`},
	"policy_published/p":                {text: `none|quarantine|reject`},
	"policy_published/sp":               {text: `none|quarantine|reject`},
	"policy_published/np":               {text: `none|quarantine|reject`},
	"policy_published/adkim":            {text: `r|s`},
	"policy_published/aspf":             {text: `r|s`},
	"policy_published/fo":               {text: `[01ds](:[01ds])*`},
	"policy_published/testing":          {text: `n|y`},
	"feedback/record":                   {children: "row identifiers auth_results"},
	"record/row":                        {children: "source_ip count policy_evaluated"},
	"row/source_ip":                     {text: `[0-9a-f.:]+`},
	"row/count":                         {text: `[1-9]\d*`},
	"row/policy_evaluated":              {children: "disposition dkim spf reason*"},
	"policy_evaluated/disposition":      {text: `none|pass|quarantine|reject`},
	"policy_evaluated/dkim":             {text: `pass|fail`},
	"policy_evaluated/spf":              {text: `pass|fail`},
	"policy_evaluated/reason":           {children: "type comment?"},
	"reason/type":                       {text: `local_policy|mailing_list|other|policy_test_mode|trusted_forwarder`},
	"reason/comment":                    {text: `.*`},
	"record/identifiers":                {children: "header_from envelope_from? envelope_to?"},
	"identifiers/header_from":           {text: domainText},
	"identifiers/envelope_from":         {text: domainText},
	"record/auth_results":               {children: "dkim* spf?"},
	"auth_results/dkim":                 {children: "domain selector result human_result?"},
	"auth_results/spf":                  {children: "domain scope? result human_result?"},
	"dkim/domain":                       {text: domainText},
	"dkim/selector":                     {text: domainText},
	"dkim/result":                       {text: results},
	"spf/domain":                        {text: domainText},
	"spf/scope":                         {text: `mfrom`},
	"spf/result":                        {text: results + `|softfail`},
}

// validate says where a report is not what the schema wants, "" for nowhere.
func validate(text string) string {
	type open struct{ name, children, text string }
	d := xml.NewDecoder(strings.NewReader(text))
	stack := []open{{}}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return ""
		} else if err != nil {
			return err.Error()
		}
		top := &stack[len(stack)-1]
		switch x := token.(type) {
		case xml.StartElement:
			if x.Name.Space != dmarc.Namespace {
				return "namespace of " + x.Name.Local
			}
			top.children += x.Name.Local + " "
			stack = append(stack, open{name: x.Name.Local})
		case xml.CharData:
			top.text += string(x)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
			parent := stack[len(stack)-1].name
			e, ok := reportSchema[parent+"/"+top.name]
			if !ok {
				e, ok = reportSchema[top.name]
			}
			if !ok {
				return parent + "/" + top.name + " is unknown"
			}
			order := ""
			for _, c := range strings.Fields(e.children) {
				name := strings.TrimRight(c, "?*+")
				order += "(" + name + " )" + c[len(name):]
			}
			if !regexp.MustCompile("^" + order + "$").MatchString(top.children) {
				return fmt.Sprintf("%s has %q, not %q", top.name, top.children, e.children)
			}
			if e.text != "" && !regexp.MustCompile("^("+e.text+")$").MatchString(top.text) {
				return fmt.Sprintf("%s/%s is %q", parent, top.name, top.text)
			}
		}
	}
}

// TestReports makes reports of a history. What is expected follows each entry.
func TestReports(t *testing.T) {
	const rest = "\nrua mailto:r@a.example!10m\n"
	for _, x := range []struct{ entry, want string }{
		{"from a.example\nmfrom b.example\nspf 2\ndkim b.example s 7\npolicy 16" + rest + "pct 100\np 114\naction 0",
			"<disposition>reject</disposition> <dkim>fail</dkim> <spf>fail</spf> | <domain>a.example</domain> <discovery_method>psl</discovery_method> <p>reject</p> <adkim>r</adkim> <aspf>r</aspf> | <result>softfail</result> <result>fail</result>"},
		// the ACL took it all the same, because of ARC, or not
		{"from a.example\npolicy 16" + rest + "pct 100\np 114\naction 2\narc 0\narc_policy 0 json:[{\"i\":2,\"d\":\"l.example\",\"s\":\"x\"},{\"i\":1,\"d\":\"k.example\",\"s\":\"y\"}]",
			"<disposition>none</disposition> <reason> <type>local_policy</type> <comment>arc=pass as[2].d=l.example as[2].s=x as[1].d=k.example as[1].s=y</comment>"},
		{"from a.example\npolicy 16" + rest + "pct 100\np 114\naction 2\narc 7\narc_policy 2 json:[ ]", "<disposition>none</disposition> <type>local_policy</type>"},
		// lighter than the policy
		{"from a.example\npolicy 17" + rest + "pct 20\np 114\naction 4", "<disposition>quarantine</disposition> <type>other</type> <comment>sampled out</comment>"},
		{"from a.example\npolicy 17" + rest + "pct 100 t=y discovery=treewalk\np 114\naction 4", "<discovery_method>treewalk</discovery_method> <testing>y</testing> <type>policy_test_mode</type>"},
		{"from nx.a.example\npolicy 17" + rest + "pct 100 np=reject applied=reject fo=1ds t=y\np 113\nsp 110\naction 4",
			"<p>quarantine</p> <sp>none</sp> <np>reject</np> <fo>1:d:s</fo> <testing>y</testing> <type>policy_test_mode</type>"},
		{"from a.example\npolicy 18" + rest + "pct 100 fo=1<x> np=<y> discovery=z\np 110\naction 2", "<disposition>none</disposition>"},
		// a result that has no number is left out
		{"from a.example\ndkim c.example s 11\ndkim a.example s 0\npolicy 15" + rest + "pct 100\np 110\nalign_dkim 4", "<disposition>pass</disposition> <dkim>pass</dkim> <domain>a.example</domain> <selector>s</selector>"},
	} {
		reports, err := Reports(strings.NewReader("job 1\nreceived 1\nipaddr 2001:db8::1\npdomain a.example\n"+x.entry+"\n"), Period{Receiver: "x.example", Organization: "X", Email: "d@x.example", Generator: "g"})
		if err != nil || len(reports) != 1 {
			t.Fatalf("%s: %d reports, %v", x.entry, len(reports), err)
		}
		var b strings.Builder
		if err := reports[0].Feedback.WriteXML(&b); err != nil {
			t.Fatal(err)
		}
		if fault := validate(b.String()); fault != "" {
			t.Errorf("%s: %s\n%s", x.entry, fault, b.String())
		}
		for _, want := range strings.Split(strings.ReplaceAll(strings.ReplaceAll(x.want, "> <", ">|<"), " | ", "|"), "|") {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %s in\n%s", x.entry, want, b.String())
			}
		}
		if strings.Contains(b.String(), "reason") != strings.Contains(x.want, "type") || strings.Contains(b.String(), "c.example") {
			t.Errorf("%s:\n%s", x.entry, b.String())
		}
	}
}
