package mail_test

import (
	"fmt"
	"strings"
	"testing"

	"exigo/internal/mail"
)

func TestReferences(t *testing.T) {
	many := ""
	for i := 1; i <= 15; i++ {
		many += fmt.Sprintf("<r%d@b>\n ", i)
	}
	for _, c := range []struct{ id, refs, reply, want string }{
		{"<m1@b>", "", "", "<m1@b>"},
		{"<m1@b>", "", "<i1@b>", "<i1@b> <m1@b>"},
		{"<m1@b>", "<r1@b>", "<i1@b>", "<r1@b> <m1@b>"},
		{"<m1@b>", many, "<i1@b>", "<r1@b> <r5@b> <r6@b> <r7@b> <r8@b> <r9@b> <r10@b> <r11@b> <r12@b> <r13@b> <r14@b> <r15@b> <m1@b>"},
		{"", many, "", "<r1@b> <r5@b> <r6@b> <r7@b> <r8@b> <r9@b> <r10@b> <r11@b> <r12@b> <r13@b> <r14@b> <r15@b>"},
		{"", "", "", ""},
		{"<m1@b>", strings.Repeat("<"+strings.Repeat("x", 97)+"> ", 12), "", strings.Repeat("<"+strings.Repeat("x", 97)+"> ", 9) + "<m1@b>"},
		{"", "", "text <i1@b> more", "<i1@b>"},
	} {
		m := &mail.Message{}
		for name, v := range map[string]string{"Message-ID": c.id, "References": c.refs, "In-Reply-To": c.reply} {
			if v != "" {
				m.Headers = append(m.Headers, mail.NewHeader(name+": "+strings.TrimSpace(v)+"\n"))
			}
		}
		if got := mail.References(m); got != c.want {
			t.Errorf("%q", got)
		}
	}
}
