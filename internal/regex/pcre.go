//go:build !libpcre2

package regex

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"

	"go.elara.ws/pcre/lib"
	"modernc.org/libc"
)

// The limits of one match. The step limit is PCRE2's own default; its default for memory (20 GB) is not for us.
const (
	stepLimit   = 10_000_000
	heapLimit   = 64 << 10 // in KiB
	keepSubject = 1 << 20  // a larger subject buffer is given back after use
)

// code is a compiled pattern in memory the garbage collector does not know; a cleanup frees it.
type code struct {
	address  uintptr
	captures int
}

// compileCode compiles with the transpiled PCRE2.
func compileCode(pattern string, options Options) (c *code, err error) {
	tls := libc.NewTLS()
	defer tls.Close()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			c, err = nil, &SyntaxError{pattern, fmt.Sprint("internal error: ", p), 0}
		}
	}()
	text, err := libc.CString(pattern)
	if err != nil {
		return nil, &SyntaxError{pattern, err.Error(), 0}
	}
	defer libc.Xfree(tls, text)
	result := libc.Xmalloc(tls, 16) // the error's number and its offset
	if result == 0 {
		return nil, &SyntaxError{pattern, "failed to get memory", 0}
	}
	defer libc.Xfree(tls, result)
	var flags uint32
	if options&Caseless != 0 {
		flags |= lib.DPCRE2_CASELESS
	}
	address := lib.Xpcre2_compile_8(tls, text, lib.Tsize_t(len(pattern)), flags, result, result+8, 0)
	if address == 0 {
		number := *(*int32)(pointer(result))
		offset := *(*uint64)(pointer(result + 8))
		return nil, &SyntaxError{pattern, errorText(tls, number), int(offset)}
	}
	lib.Xpcre2_pattern_info_8(tls, address, lib.DPCRE2_INFO_CAPTURECOUNT, result)
	c = &code{address: address, captures: int(*(*uint32)(pointer(result)))}
	runtime.AddCleanup(c, freeCode, address)
	return c, nil
}

func freeCode(address uintptr) {
	tls := libc.NewTLS()
	defer tls.Close()
	lib.Xpcre2_code_free_8(tls, address)
}

// pointer turns an address of C memory into a pointer. go vet would rather not see it, and for Go memory it would be right.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// errorText gives PCRE2's text for an error number.
func errorText(tls *libc.TLS, number int32) string {
	const size = 256
	buffer := libc.Xmalloc(tls, size)
	if buffer == 0 {
		return fmt.Sprint("error ", number)
	}
	defer libc.Xfree(tls, buffer)
	n := lib.Xpcre2_get_error_message_8(tls, number, buffer, size)
	if n < 0 {
		return fmt.Sprint("error ", number)
	}
	return string(unsafe.Slice((*byte)(pointer(buffer)), n))
}

// worker is what one match needs besides the code: a stack, room for the offsets, and a copy of the subject, since Go
// memory must not be pointed to by numbers.
type worker struct {
	tls       *libc.TLS
	context   uintptr
	data      uintptr
	captures  int // how many groups data has room for
	subject   uintptr
	subjectOf int // size of the subject buffer
}

// pool keeps idle workers. The zero value is ready.
type pool struct {
	mutex sync.Mutex
	idle  []*worker
}

const maxIdle = 8

func (p *pool) take(captures int) (*worker, error) {
	p.mutex.Lock()
	var w *worker
	if n := len(p.idle); n > 0 {
		w = p.idle[n-1]
		p.idle = p.idle[:n-1]
	}
	p.mutex.Unlock()
	if w == nil {
		w = &worker{tls: libc.NewTLS(), captures: -1}
		runtime.SetFinalizer(w, (*worker).close)
		if w.context = lib.Xpcre2_match_context_create_8(w.tls, 0); w.context == 0 {
			return nil, errors.New("failed to get memory")
		}
		lib.Xpcre2_set_match_limit_8(w.tls, w.context, stepLimit)
		lib.Xpcre2_set_heap_limit_8(w.tls, w.context, heapLimit)
	}
	if captures > w.captures {
		if w.data != 0 {
			lib.Xpcre2_match_data_free_8(w.tls, w.data)
		}
		w.captures = max(captures, 20)
		if w.data = lib.Xpcre2_match_data_create_8(w.tls, uint32(w.captures+1), 0); w.data == 0 {
			w.captures = -1
			return nil, errors.New("failed to get memory")
		}
	}
	return w, nil
}

func (p *pool) give(w *worker) {
	if w.subjectOf > keepSubject {
		libc.Xfree(w.tls, w.subject)
		w.subject, w.subjectOf = 0, 0
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if len(p.idle) < maxIdle {
		p.idle = append(p.idle, w)
	}
}

func (w *worker) close() {
	if w.data != 0 {
		lib.Xpcre2_match_data_free_8(w.tls, w.data)
	}
	if w.context != 0 {
		lib.Xpcre2_match_context_free_8(w.tls, w.context)
	}
	if w.subject != 0 {
		libc.Xfree(w.tls, w.subject)
	}
	w.tls.Close()
}

// match runs one match. message is not empty if it was given up.
func (w *worker) match(c *code, space []int, subject string, start int, notEmptyHere bool) (pairs []int, message string) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			pairs, message = nil, fmt.Sprint("internal error: ", p)
		}
	}()
	if w.subjectOf <= len(subject) {
		size := max(1024, len(subject)*5/4)
		if w.subject != 0 {
			libc.Xfree(w.tls, w.subject)
		}
		w.subjectOf = 0
		if w.subject = libc.Xmalloc(w.tls, libc.Tsize_t(size)); w.subject == 0 {
			return nil, "failed to get memory"
		}
		w.subjectOf = size
	}
	copy(unsafe.Slice((*byte)(pointer(w.subject)), len(subject)), subject)
	var flags uint32
	if notEmptyHere {
		flags = lib.DPCRE2_NOTEMPTY_ATSTART | lib.DPCRE2_ANCHORED
	}
	result := lib.Xpcre2_match_8(w.tls, c.address, w.subject, lib.Tsize_t(len(subject)), lib.Tsize_t(start), flags, w.data, w.context)
	switch {
	case result > 0:
	case result == lib.DPCRE2_ERROR_NOMATCH, result <= lib.DPCRE2_ERROR_UTF8_ERR1 && result >= lib.DPCRE2_ERROR_UTF8_ERR21:
		return nil, "" // a subject that is not UTF-8 does not match a pattern that says it wants that
	default:
		return nil, errorText(w.tls, result)
	}
	offsets := unsafe.Slice((*uint64)(pointer(lib.Xpcre2_get_ovector_pointer_8(w.tls, w.data))), 2*int(result))
	for _, offset := range offsets {
		space = append(space, int(offset)) // "unset" is all ones: -1
	}
	return space, ""
}
