package bounce

import (
	"io"
	"os"
	"strings"

	"exigo/internal/mail"
)

// output is a file with what a pipe wrote.
type output struct {
	address *mail.Address
	path    string
}

func outputFiles(addrs []*mail.Address) []output {
	var out []output
	for i := len(addrs) - 1; i >= 0; i-- {
		if f := addrs[i].Outcome.ReturnFile; f != "" {
			out = append(out, output{addrs[i], f})
		}
	}
	return out
}

// splitStatus cuts the report before its status part, where the output of pipes goes.
func splitStatus(p *paper) (text, status string) {
	s := p.String()
	i := strings.LastIndex(s, "--"+p.boundary+"\n")
	return s[:i], s[i:]
}

// maxOutput bounds what is returned of one pipe's output.
const maxOutput = 1 << 20

func outputReader(p *paper, out []output, items template) io.Reader {
	plural := ifText(len(out) > 1, "s")
	parts := []io.Reader{strings.NewReader(items.or(2, "The following text was generated during the delivery attempt"+plural+":\n"))}
	for _, o := range out {
		parts = append(parts, strings.NewReader("\n------ "+p.named(o.address, "       ")+" ------\n\n"), &fileReader{path: o.path},
			strings.NewReader("\n"))
	}
	return io.MultiReader(parts...)
}

// fileReader opens its file when it is first read.
type fileReader struct {
	path string
	file *os.File
	left int64
}

// Read implements io.Reader. A file that cannot be opened is empty: the report is more important than its output.
func (f *fileReader) Read(b []byte) (int, error) {
	if f.file == nil {
		file, err := os.Open(f.path)
		if err != nil {
			return 0, io.EOF
		}
		f.file, f.left = file, maxOutput
	}
	if f.left <= 0 {
		f.file.Close()
		return 0, io.EOF
	}
	if int64(len(b)) > f.left {
		b = b[:f.left]
	}
	n, err := f.file.Read(b)
	f.left -= int64(n)
	if err != nil {
		f.file.Close()
		f.left = 0
	}
	return n, err
}
