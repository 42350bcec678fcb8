// Package wire turns plain Go values into bytes and back, for two processes of the same binary that talk over a socket: fields in
// the order of their declaration, without names or types. It costs a tenth of what JSON does, and text that is no UTF-8 arrives as it was
// sent.
//
// Values are booleans, integers, strings, byte slices, slices, maps with string keys, pointers and structs of these, and time.Time. A struct's
// unexported fields do not travel; of a time only the instant does.
//
// Trust: what is decoded may come from a process that an outsider took over: a decoder holds no more than the bytes it was given tell of.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// ErrMalformed is bytes that are no value of the type asked for.
var ErrMalformed = errors.New("wire: malformed value")

var timeType = reflect.TypeFor[time.Time]()

// Append adds the encoded value to buf. The error is a type that cannot travel, which is a mistake of the programmer.
func Append(buf []byte, v any) ([]byte, error) {
	x := reflect.ValueOf(v)
	for x.Kind() == reflect.Pointer && !x.IsNil() { // a pointer at the top stands for what it points to
		x = x.Elem()
	}
	return appendValue(buf, x)
}

func appendValue(buf []byte, x reflect.Value) ([]byte, error) {
	switch x.Kind() {
	case reflect.Bool:
		if x.Bool() {
			return append(buf, 1), nil
		}
		return append(buf, 0), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.AppendVarint(buf, x.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return binary.AppendUvarint(buf, x.Uint()), nil
	case reflect.String:
		s := x.String()
		return append(binary.AppendUvarint(buf, uint64(len(s))), s...), nil
	case reflect.Slice:
		return appendSlice(buf, x)
	case reflect.Map:
		return appendMap(buf, x)
	case reflect.Pointer:
		if x.IsNil() {
			return append(buf, 0), nil
		}
		return appendValue(append(buf, 1), x.Elem())
	case reflect.Struct:
		return appendStruct(buf, x)
	}
	return buf, fmt.Errorf("wire: a %v cannot travel", x.Kind())
}

func appendStruct(buf []byte, x reflect.Value) ([]byte, error) {
	t := x.Type()
	if t == timeType {
		at := x.Interface().(time.Time)
		return binary.AppendVarint(binary.AppendVarint(buf, at.Unix()), int64(at.Nanosecond())), nil
	}
	var err error
	for i := range x.NumField() {
		f := x.Field(i)
		if !f.CanInterface() { // not exported; asking the type would allocate
			continue
		}
		if buf, err = appendValue(buf, f); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

func appendSlice(buf []byte, x reflect.Value) ([]byte, error) {
	n := x.Len()
	buf = binary.AppendUvarint(buf, uint64(n))
	if x.Type().Elem().Kind() == reflect.Uint8 {
		return append(buf, x.Bytes()...), nil
	}
	var err error
	for i := range n {
		if buf, err = appendValue(buf, x.Index(i)); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

func appendMap(buf []byte, x reflect.Value) ([]byte, error) {
	buf = binary.AppendUvarint(buf, uint64(x.Len()))
	var err error
	for all := x.MapRange(); all.Next(); {
		if buf, err = appendValue(buf, all.Key()); err != nil {
			return buf, err
		}
		if buf, err = appendValue(buf, all.Value()); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// Decode sets what v points to from all of data. Strings share one copy of data.
func Decode(data []byte, v any) error {
	x := reflect.ValueOf(v)
	if x.Kind() != reflect.Pointer || x.IsNil() {
		return errors.New("wire: nowhere to put the value")
	}
	d := decoder{rest: string(data)}
	if err := d.value(x.Elem()); err != nil {
		return err
	}
	if d.rest != "" {
		return ErrMalformed
	}
	return nil
}

type decoder struct{ rest string }

func (d *decoder) value(x reflect.Value) error {
	switch x.Kind() {
	case reflect.Bool:
		n, err := d.unsigned()
		if n > 1 {
			return ErrMalformed
		}
		x.SetBool(n == 1)
		return err
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := d.signed()
		if x.OverflowInt(n) {
			return ErrMalformed
		}
		x.SetInt(n)
		return err
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := d.unsigned()
		if x.OverflowUint(n) {
			return ErrMalformed
		}
		x.SetUint(n)
		return err
	case reflect.String:
		s, err := d.text()
		x.SetString(s)
		return err
	case reflect.Slice:
		return d.slice(x)
	case reflect.Map:
		return d.table(x)
	case reflect.Pointer:
		return d.pointer(x)
	case reflect.Struct:
		return d.structure(x)
	}
	return fmt.Errorf("wire: a %v cannot travel", x.Kind())
}

func (d *decoder) structure(x reflect.Value) error {
	t := x.Type()
	if t == timeType {
		seconds, err := d.signed()
		if err != nil {
			return err
		}
		nanoseconds, err := d.signed()
		x.Set(reflect.ValueOf(time.Unix(seconds, nanoseconds)))
		return err
	}
	for i := range x.NumField() {
		f := x.Field(i)
		if !f.CanSet() {
			continue
		}
		if err := d.value(f); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) pointer(x reflect.Value) error {
	n, err := d.unsigned()
	switch {
	case err != nil:
		return err
	case n == 0:
		x.SetZero()
		return nil
	case n > 1:
		return ErrMalformed
	}
	x.Set(reflect.New(x.Type().Elem()))
	return d.value(x.Elem())
}

func (d *decoder) slice(x reflect.Value) error {
	if x.Type().Elem().Kind() == reflect.Uint8 {
		s, err := d.text()
		x.SetBytes([]byte(s))
		return err
	}
	n, err := d.count(least(x.Type().Elem()))
	if err != nil {
		return err
	}
	x.SetZero()
	if n == 0 {
		return nil
	}
	all := reflect.MakeSlice(x.Type(), n, n)
	for i := range n {
		if err := d.value(all.Index(i)); err != nil {
			return err
		}
	}
	x.Set(all)
	return nil
}

func (d *decoder) table(x reflect.Value) error {
	t := x.Type()
	n, err := d.count(least(t.Key()) + least(t.Elem()))
	if err != nil {
		return err
	}
	x.SetZero()
	if n == 0 {
		return nil
	}
	x.Set(reflect.MakeMapWithSize(t, n))
	for range n {
		key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		if err := d.value(key); err != nil {
			return err
		}
		if err := d.value(value); err != nil {
			return err
		}
		x.SetMapIndex(key, value)
	}
	return nil
}

// unsigned reads a number as binary.AppendUvarint writes it.
func (d *decoder) unsigned() (n uint64, err error) {
	for i := 0; i < len(d.rest) && i < binary.MaxVarintLen64; i++ {
		b := d.rest[i]
		if i == binary.MaxVarintLen64-1 && b > 1 {
			break
		}
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			d.rest = d.rest[i+1:]
			return n, nil
		}
	}
	return 0, ErrMalformed
}

// signed reads a number as binary.AppendVarint writes it.
func (d *decoder) signed() (int64, error) {
	n, err := d.unsigned()
	return int64(n>>1) ^ -int64(n&1), err
}

// count reads how many elements of at least so many bytes follow: no more than there is room for, so that the length of the data bounds
// the memory its decoding takes.
func (d *decoder) count(least int) (int, error) {
	n, err := d.unsigned()
	if err != nil || n > uint64(len(d.rest)/least) {
		return 0, ErrMalformed
	}
	return int(n), nil
}

// least is the number of bytes that a value of the type takes at least.
func least(t reflect.Type) int {
	if t.Kind() != reflect.Struct || t == timeType {
		return 1
	}
	n := 0
	for i := range t.NumField() {
		if t.Field(i).IsExported() {
			n += least(t.Field(i).Type)
		}
	}
	return max(n, 1)
}

func (d *decoder) text() (string, error) {
	n, err := d.count(1)
	if err != nil {
		return "", err
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s, nil
}
