package mime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/mail"
	"exigo/internal/proto/mime"
	"exigo/internal/scan"
)

var errBudget = errors.New("the decoded parts of the message are too big")

// checkDecode is the condition decode = [/<path>/]<filename> (spec 45.4). A path that the message says is not used.
func checkDecode(r *acl.Run, argument mail.Value) acl.Verdict {
	st := stateOf(r.Scope)
	text := strings.TrimSpace(argument.S)
	if st == nil || st.part == nil || text == "" || text == "0" || strings.EqualFold(text, "false") {
		return acl.Fail
	}
	if r.Scope.Untrusted(argument, "tainted file name '%s' for decode", text) {
		return r.Mistake(fmt.Sprintf("tainted file name '%s' for decode", text))
	}
	name := ""
	switch {
	case text == "default":
		name = st.fileName(r.Scope.Message.ID)
	case !strings.HasPrefix(text, "/"):
		name = filepath.Join(st.scan.Path, filepath.Base(text))
	default:
		if name = text; isDirectory(text) {
			name = filepath.Join(text, filepath.Base(st.fileName(r.Scope.Message.ID)))
		}
	}
	switch err := st.decode(name); {
	case errors.Is(err, errBudget):
		return r.Deferred(err.Error())
	case err != nil:
		return r.Deferred("decode: " + err.Error())
	}
	st.decoded = name
	return acl.OK
}

// ensureDecoded decodes the part as decode = default does, unless it was decoded, and returns the file's name.
func (st *state) ensureDecoded(id string) (string, error) {
	if st.decoded == "" {
		name := st.fileName(id)
		if err := st.decode(name); err != nil {
			return "", err
		}
		st.decoded = name
	}
	return st.decoded, nil
}

func isDirectory(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// fileName makes the next name in the directory of the message.
func (st *state) fileName(id string) string {
	st.sequence++
	return fmt.Sprintf("%s/%s-%05d", st.scan.Path, id, st.sequence-1)
}

// decode writes the part at hand into a file.
func (st *state) decode(name string) error {
	if filepath.Dir(name) == st.scan.Path {
		if err := st.scan.Make(); err != nil {
			return err
		}
	}
	f, err := scan.Create(name)
	if err != nil {
		return err
	}
	d := mime.NewDecoder(st.part.Encoding, st.part.Body(st.source))
	n, err := io.Copy(f, io.LimitReader(d, st.budget+1))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if st.budget -= n; err == nil && st.budget < 0 {
		err = errBudget
	}
	if err != nil {
		os.Remove(name)
		return err
	}
	if st.size = n; d.Malformed > 0 {
		st.anomaly = fmt.Sprintf("%d malformed places in the %s encoding", d.Malformed, st.part.Encoding)
	}
	return nil
}

// whole is a message: its header section and its body.
type whole struct {
	header string
	body   *io.SectionReader
}

// newWhole is the message as it came in, without lines that were taken out.
func newWhole(m *mail.Message, body *io.SectionReader) whole {
	var b strings.Builder
	for _, h := range m.Headers {
		if h.Type != '*' {
			b.WriteString(h.Text)
		}
	}
	b.WriteByte('\n')
	return whole{b.String(), body}
}

// Size is the length in bytes.
func (w whole) Size() int64 { return int64(len(w.header)) + w.body.Size() }

func (w whole) reader() io.Reader { return io.NewSectionReader(w, 0, w.Size()) }

// ReadAt implements io.ReaderAt.
func (w whole) ReadAt(p []byte, at int64) (n int, err error) {
	if at < int64(len(w.header)) {
		if n = copy(p, w.header[at:]); n == len(p) {
			return n, nil
		}
	}
	m, err := w.body.ReadAt(p[n:], max(at-int64(len(w.header)), 0))
	return n + m, err
}
