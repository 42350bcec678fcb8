// Package differential asks the program and Exim 4.96, where that is installed, the same questions and compares the answers: expansions
// by the sections of the specification's chapter 11, lists, and expansions made by a grammar; routing; dialogues with content scanners. testdata/differences.tsv holds what is
// known to differ, each with its reason.
//
// Trust: tests only.
package differential

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"exigo/test/blackbox"
)

// oracle returns the path of Exim 4.96, or skips the test.
func oracle(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("exim4")
	if err != nil {
		t.Skip("exim4, which knows the right answers, is not installed")
	}
	out, err := exec.Command(path, "-C", "/dev/null", "-be", "$version_number").Output()
	if version := strings.TrimSpace(string(out)); err != nil || version != "4.96" {
		t.Skipf("exim4 does not answer as 4.96: %q %v", version, err)
	}
	return path
}

// difference is a row of testdata/differences.tsv: what the question, our answer and Exim's must match.
type difference struct{ question, ours, theirs *regexp.Regexp }

// differences reads the reviewed list: three regular expressions and the reason, separated by tabs.
func differences(t *testing.T) (list []*difference) {
	t.Helper()
	data, err := os.ReadFile("testdata/differences.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 4 || fields[3] == "" {
			t.Fatalf("differences.tsv: question, our answer, Exim's and the reason expected in %q", line)
		}
		list = append(list, &difference{regexp.MustCompile(fields[0]), regexp.MustCompile(fields[1]), regexp.MustCompile(fields[2])})
	}
	return list
}

// known tells whether a difference is on the list.
func known(list []*difference, question, ours, theirs string) bool {
	for _, d := range list {
		if d.question.MatchString(question) && d.ours.MatchString(ours) && d.theirs.MatchString(theirs) {
			return true
		}
	}
	return false
}

const mark = "@-%d-@"

// crashed stands for the answer of a program that came to grief over a question.
const crashed = "(crashed)"

// ask gives all questions to one process on its standard input and returns an answer for each. If the process dies over a question, the
// next one goes on behind it.
func ask(t *testing.T, program, configuration, dir string, questions []string) []string {
	t.Helper()
	answers := make([]string, 0, len(questions))
	for len(answers) < len(questions) {
		answers = append(answers, askOnce(t, program, configuration, dir, questions[len(answers):])...)
	}
	return answers
}

func askOnce(t *testing.T, program, configuration, dir string, questions []string) (answers []string) {
	t.Helper()
	var in bytes.Buffer
	for i, q := range questions {
		fmt.Fprintf(&in, "%s\n"+mark+"\n", q, i)
	}
	ctx, cancel := context.WithTimeout(context.Background(), blackbox.Patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, "-C", configuration, "-be")
	command.Dir, command.Stdin = dir, &in
	command.Env = []string{"PATH=/usr/bin:/bin", "WORD=a word", "EMPTY="}
	command.WaitDelay = time.Second
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.Output()
	rest := "\n" + string(out)
	for i := range questions {
		end := "\n> " + fmt.Sprintf(mark, i) + "\n"
		at := strings.Index(rest, end)
		if at < 0 {
			if ctx.Err() != nil || err == nil {
				t.Fatalf("%s stopped answering (%v) at %q\nit said %.500q and %.500q", program, err, questions[i], rest, complaints.String())
			}
			return append(answers, crashed)
		}
		answers = append(answers, strings.TrimPrefix(strings.TrimPrefix(rest[:at], "\n"), "> "))
		rest = rest[at+len(end)-1:]
	}
	return answers
}

// fixtures fills a folder that both programs may read.
func fixtures(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if os.Chmod(at, 0o755) != nil {
			break
		}
	}
	err := os.CopyFS(dir, os.DirFS("testdata/files"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"configuration", "routing"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), bytes.ReplaceAll(text, []byte("DIR"), []byte(dir)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// compare asks both programs and reports differences that are not on the list.
func compare(t *testing.T, questions []string) {
	exim := oracle(t)
	place := blackbox.New(t)
	dir := fixtures(t)
	configuration := filepath.Join(dir, "configuration")
	if os.Geteuid() != 0 { // Exim takes other files from root only; what it was built with is not compared
		configuration = "/dev/null"
		questions = slices.DeleteFunc(questions, func(q string) bool { return strings.Contains(q, "spool_directory") })
	}
	for i, q := range questions {
		questions[i] = strings.ReplaceAll(q, "DIR", dir)
	}
	theirs := ask(t, exim, configuration, dir, questions)
	ours := ask(t, place.Binary, configuration, dir, questions)
	reviewed := differences(t)
	alone := func(q string) bool { // nothing differs, or what is known to, when nothing was asked before
		we, they := ask(t, place.Binary, configuration, dir, []string{q})[0], ask(t, exim, configuration, dir, []string{q})[0]
		return same(we, they) || known(reviewed, q, we, they)
	}
	different, excused, crashes, leftovers := 0, 0, 0, 0
	for i, q := range questions {
		switch {
		case same(ours[i], theirs[i]):
		case theirs[i] == crashed && ours[i] != crashed:
			crashes++
		case known(reviewed, q, ours[i], theirs[i]):
			excused++
		case different < patience && alone(q):
			leftovers++
		default:
			if different++; different <= shown() {
				t.Errorf("%s\n  we:   %q\n  exim: %q", q, ours[i], theirs[i])
			}
		}
	}
	t.Logf("%d questions, %d answers differ, %d more are on the reviewed list; over %d Exim crashed, %d differ only behind others",
		len(questions), different, excused, crashes, leftovers)
}

// patience is how many differences are looked at to see whether they come from what Exim leaves behind after failures: $item, $value, $1.
const patience = 300

// same compares two answers. Where Exim says nothing we may say more.
func same(ours, theirs string) bool {
	return ours == theirs && ours != crashed || theirs == "Failed: " && strings.HasPrefix(ours, "Failed: ")
}

// shown is how many differences are reported in full.
func shown() int {
	if blackbox.Long() {
		return 1 << 20
	}
	return 50
}

// handwritten reads a file of questions, one a line; lines that begin with # and a space are headings.
func handwritten(t *testing.T, path string) (list []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "# ") {
			list = append(list, line)
		}
	}
	return list
}

// recorded reads the questions that the language's own tests have with recorded answers.
func recorded(t *testing.T) (list []string) {
	t.Helper()
	for _, line := range handwritten(t, "../../internal/expand/builtin/testdata/oracle.tsv") {
		quoted, _, _ := strings.Cut(line, "\t")
		var text string
		if err := json.Unmarshal([]byte(quoted), &text); err != nil {
			t.Fatal(quoted, err)
		}
		var b []byte
		for _, r := range text {
			b = append(b, byte(r))
		}
		if !bytes.ContainsAny(b, "\n\x00") && !bytes.HasSuffix(b, []byte(`\`)) {
			list = append(list, string(b))
		}
	}
	return list
}

func TestRecorded(t *testing.T) { compare(t, recorded(t)) }

func TestWritten(t *testing.T) { compare(t, handwritten(t, "testdata/expansions.txt")) }

func TestTables(t *testing.T) { compare(t, tables()) }

func TestLists(t *testing.T) {
	compare(t, listTables())
}
