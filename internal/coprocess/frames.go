package coprocess

import (
	"encoding/binary"
	"errors"
	"io"

	"exigo/internal/wire"
)

// ErrTooLong is a frame that is longer than its reader or writer allows.
var ErrTooLong = errors.New("frame too long")

// WriteFrame writes a frame of at most limit bytes: four bytes of length, the most significant first, then the data.
func WriteFrame(w io.Writer, data []byte, limit int) error {
	if len(data) > limit {
		return ErrTooLong
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(data)), uint32(len(data))), data...))
	return err
}

// ReadFrame reads a frame of at most limit bytes. Memory is taken as bytes come, not as the length promises. The error is io.EOF only where no frame
// begins.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(head[:]))
	if length > int64(limit) {
		return nil, ErrTooLong
	}
	data, err := io.ReadAll(io.LimitReader(r, length))
	if err == nil && int64(len(data)) < length {
		err = io.ErrUnexpectedEOF
	}
	return data, err
}

// WriteValue writes a frame with a value that package wire can carry.
func WriteValue(w io.Writer, v any, limit int) error {
	data, err := wire.Append(nil, v)
	if err != nil {
		return err
	}
	return WriteFrame(w, data, limit)
}

// ReadValue reads a frame into what v points to.
func ReadValue(r io.Reader, v any, limit int) error {
	data, err := ReadFrame(r, limit)
	if err != nil {
		return err
	}
	return wire.Decode(data, v)
}
