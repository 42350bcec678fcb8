package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/testkit"
)

// TestMsgdate: options, bases and host numbers of exim_msgdate.
func TestMsgdate(t *testing.T) {
	world := testkit.NewWorld(t).World
	for _, c := range []struct {
		words, out, errs string
		status           int
	}{
		{"-u -z --localhost_number=0 -b 62 1o6fde-003z7E-PS", "1656539662.890000|2022-06-29 21:54:22.890000|", "localhost 7 from message-id != given number 0 at x line 421.\n", 0},
		{"-z --localhost 9 EZZZZZZ-003FPJ-WF", "3002-09-30 12:51:45.995000|", "", 0},
		{"--gmt -base=36 -localhost_number 9 EZZZZZZ-003FPJ-Q0", "2038-12-24 05:45:35.360000|", "", 0},
		{"-b36 -localhost_number 3 -u zzzzzz", "", "zzzzzz is not base 36\n", 255},
		{"--base 32 ZZZZZZ", "", "unknown base option 32\n", 255},
		{"--localhost_number 11 -base 36 x", "", "localhost_number > 10\n", 255},
		{"--localhost_number 19 x", "", "localhost_number > 16\n", 255},
		{"--localhost_number -1 x", "", "localhost_number must be a number >=0\n", 255},
		{"-q x", "", "Unknown option: q\n", 255},
		{"--base", "", "Option base requires an argument\n", 255},
		{"-u --pid --localhost_number 0 1PANS3-003FPJ-00 000000 zzzzz-z005xgk-zz", "1288014663.000000\tpid 774213|0.000000|", "zzzzz-z005xgk-zz not parsed\n", 0},
		{"-u --localhost_number 1 1ptUlY-00000000PfG-2CdO", "1682952276.050452|", "", 0},
	} {
		var out, errs bytes.Buffer
		status, _ := runUtility("exim_msgdate", strings.Fields(c.words), world, &out, &errs)
		got := strings.ReplaceAll(errs.String(), "exim_msgdate", "x")
		if status != c.status || strings.ReplaceAll(out.String(), "\n", "|") != c.out || !strings.HasPrefix(got, c.errs) || c.errs == "" && got != "" {
			t.Errorf("%s: %d %q %q", c.words, status, out.String(), got)
		}
	}
}

// TestIDUpdate: messages get ids of the other form and back.
func TestIDUpdate(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "input")
	id := "1qDO9M-0003B3-2p"
	os.MkdirAll(filepath.Join(input, "a"), 0o700)
	for name, text := range map[string]string{"-D": id + "-D\nbody\n", "-H": id + "-H\nx 1 1\n", "-J": "a@b\n"} {
		if err := os.WriteFile(filepath.Join(input, "a", id+name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct{ option, id string }{{"-u", "1qDO9M-000000003B3-0MlI"}, {"-d", id}, {"-d", id}} {
		var out, errs bytes.Buffer
		if status, _ := runUtility("exim_id_update", []string{step.option, input}, nil, &out, &errs); status != 0 {
			t.Fatal(errs.String())
		}
		names, _ := filepath.Glob(filepath.Join(input, "a", "*"))
		for i, suffix := range []string{"-D", "-H", "-J"} {
			if len(names) != 3 || filepath.Base(names[i]) != step.id+suffix {
				t.Fatalf("%s: %q", step.option, names)
			}
			if text, _ := os.ReadFile(names[i]); suffix != "-J" && !strings.HasPrefix(string(text), step.id+suffix+"\n") {
				t.Errorf("%s: %q", names[i], text)
			}
		}
	}
	os.WriteFile(filepath.Join(input, id+"-H"), []byte("x"), 0o600)
	var out, errs bytes.Buffer
	if status, _ := runUtility("exim_id_update", []string{"-u", input}, nil, &out, &errs); status != 1 || !strings.Contains(errs.String(), "no such file") {
		t.Error(status, errs.String())
	}
	if status, _ := runUtility("exim_id_update", nil, nil, &out, &errs); status != 1 || !strings.HasPrefix(out.String(), "Usage: ") {
		t.Error(out.String())
	}
}
