package builtin

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"exigo/internal/expand"
)

// question is an expression and what exim 4.96 answered to it. Both are bytes, each written as the character of its number.
type question struct{ text, answer string }

// questions reads testdata/oracle.tsv: on each line an expression and the oracle's answer, as JSON strings.
func questions(t testing.TB) (list []question) {
	t.Helper()
	f, err := os.Open("testdata/oracle.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text, answer, ok := strings.Cut(lines.Text(), "\t")
		if !ok || strings.HasPrefix(text, "#") {
			continue
		}
		list = append(list, question{fromLatin1(t, text), fromLatin1(t, answer)})
	}
	return list
}

func fromLatin1(t testing.TB, quoted string) string {
	t.Helper()
	var text string
	if err := json.Unmarshal([]byte(quoted), &text); err != nil {
		t.Fatal(quoted, err)
	}
	var b []byte
	for _, r := range text {
		b = append(b, byte(r))
	}
	return string(b)
}

// debianSettings are what the oracle's configuration says.
type debianSettings struct{ expand.Configuration }

func (debianSettings) LanguageSettings() *expand.Settings {
	return &expand.Settings{HeadersCharset: "UTF-8", CheckRFC2047Length: true, BounceReturnSizeLimit: 100 << 10, LocalhostNumber: "0"}
}

func (debianSettings) NamedList(byte, string) (string, bool) { return "", false }

// TestOracle compares our answers with those recorded.
func TestOracle(t *testing.T) {
	e := testEngine(t)
	for _, q := range questions(t) {
		s := e.NewScope(context.Background(), debianSettings{}, nil, nil)
		v, err := e.Expand(s, q.text)
		answer := v.S
		if err != nil {
			answer = "Failed: " + err.Error()
		}
		if answer != q.answer && (err == nil || q.answer != "Failed: ") { // where Exim says nothing we may say more
			t.Errorf("%s\n  we:   %q\n  exim: %q", q.text, answer, q.answer)
		}
	}
}

var leftover = regexp.MustCompile(`runrc|prvscheck|readsocket|\$0|value|\{etc/`)

// TestRecordedAnswers asks the oracle again whether it still says what is recorded.
func TestRecordedAnswers(t *testing.T) {
	exim, err := exec.LookPath("exim4")
	if err != nil || testing.Short() {
		t.Skip("needs exim4, and is skipped with -short")
	}
	const batch, mark = 50, "--- next ---"
	for list := questions(t); len(list) > 0; list = list[min(batch, len(list)):] {
		part := list[:min(batch, len(list))]
		arguments := []string{"-be"}
		for _, q := range part {
			arguments = append(arguments, q.text, mark)
		}
		command := exec.Command(exim, arguments...)
		command.Dir = "/"
		out, err := command.Output()
		answers := strings.Split(string(out), "\n"+mark+"\n")
		if err != nil || len(answers) != len(part)+1 {
			t.Skipf("exim4 does not run here: %v", err)
		}
		for i, q := range part {
			// What an expression leaves in $runrc and its like is still there in the next one; relative paths lead elsewhere for ordinary users.
			if answers[i] != q.answer && !leftover.MatchString(q.text) {
				t.Errorf("%s\n  recorded: %q\n  exim:     %q", q.text, q.answer, answers[i])
			}
		}
	}
}
