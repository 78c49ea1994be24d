// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"errors"
	"math"
	"slices"
)

var (
	errEnd     = errors.New("more bytes are needed than are left")
	errInteger = errors.New("an integer is too long")

	errTrailing = errors.New("there are bytes after the last one")
	errKind     = errors.New("a kind is not one of the specification")
	errLimits   = errors.New("a maximum is below its minimum")
)

// reader decodes the format's primitives from the front of b.
type reader struct{ b []byte }

func (r *reader) byte() (byte, error) {
	if len(r.b) == 0 {
		return 0, errEnd
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c, nil
}

// uint reads an unsigned LEB128 integer of at most size bits. Redundant zero
// groups are legal as long as the encoding has no more groups than size needs.
func (r *reader) uint(size int) (uint64, error) {
	var v uint64
	for shift := 0; shift < size; shift += 7 {
		c, err := r.byte()
		if err != nil {
			return 0, err
		}
		if left := size - shift; left < 7 && c&0x7f>>left != 0 {
			return 0, errInteger
		}
		v |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			return v, nil
		}
	}
	return 0, errInteger
}

func (r *reader) uint32() (uint32, error) {
	v, err := r.uint(32)
	return uint32(v), err
}

func (r *reader) uint64() (uint64, error) { return r.uint(64) }

// count reads the length of a vector whose elements take at least one byte
// each, so that a caller may allocate by it.
func (r *reader) count() (int, error) {
	n, err := r.uint64()
	if err != nil {
		return 0, err
	}
	if n > uint64(len(r.b)) || n > math.MaxInt32 {
		return 0, errEnd
	}
	return int(n), nil
}

// vector reads a length-prefixed run of bytes.
func (r *reader) vector() ([]byte, error) {
	n, err := r.uint32()
	if err != nil {
		return nil, err
	}
	if uint64(n) > uint64(len(r.b)) {
		return nil, errEnd
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v, nil
}

// addCount adds the length of a vector to n, and leaves its elements.
func (r *reader) addCount(n *uint64) error {
	length, err := r.count()
	*n += uint64(length)
	return err
}

// each adds the length of a vector to n, and has its elements read one by one.
func (r *reader) each(n *uint64, read func(*reader) error) error {
	length, err := r.count()
	*n += uint64(length)
	for ; err == nil && length > 0; length-- {
		err = read(r)
	}
	return err
}

func (r *reader) skip(n int) error {
	if n > len(r.b) {
		return errEnd
	}
	r.b = r.b[n:]
	return nil
}

func (r *reader) skipByte() error { return r.skip(1) }

func (r *reader) index() error {
	_, err := r.uint32()
	return err
}

// skipInteger skips a signed LEB128 integer of at most size bits.
func (r *reader) skipInteger(size int) error {
	for ; size > 0; size -= 7 {
		if c, err := r.byte(); err != nil || c&0x80 == 0 {
			return err
		}
	}
	return errInteger
}

// valueType skips a value type: one byte, or a typed reference (0x63, 0x64)
// and its heap type, a signed integer of 33 bits.
func (r *reader) valueType() error {
	c, err := r.byte()
	if err != nil || c != 0x63 && c != 0x64 {
		return err
	}
	return r.skipInteger(33)
}

// limits are those of a table, in entries, or a memory, in pages.
type limits struct{ min, max uint32 }

// limits reads limits without (0) or with (1) a maximum; without, it is the
// given one.
func (r *reader) limits(maximum uint32) (l limits, err error) {
	flags, err := r.byte()
	if err == nil && flags > 1 {
		err = errKind
	}
	if err == nil {
		l.min, err = r.uint32()
	}
	l.max = max(l.min, maximum)
	if err == nil && flags == 1 {
		l.max, err = r.uint32()
	}
	if err == nil && l.max < l.min {
		err = errLimits
	}
	return l, err
}

// noMaximum is the maximum of a table that does not say one.
const noMaximum = math.MaxUint32

// tableType reads a reference type, which it returns as it is encoded, and the
// limits of a table.
func (r *reader) tableType() (reference []byte, l limits, err error) {
	before := r.b
	if err = r.valueType(); err != nil {
		return nil, l, err
	}
	reference = before[:len(before)-len(r.b)]
	if !slices.Contains([]byte{0x70, 0x6f, 0x63, 0x64}, reference[0]) {
		return nil, l, errKind
	}
	l, err = r.limits(noMaximum)
	return reference, l, err
}
