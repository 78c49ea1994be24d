// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"errors"
	"fmt"
	"iter"
	"math"
)

// Section ids, from the core specification and the exception-handling proposal.
const (
	SectionCustom   = 0
	SectionType     = 1
	SectionImport   = 2
	SectionFunction = 3
	SectionTag      = 13
)

// A Section is one section of a module. All slices alias the module's bytes.
type Section struct {
	ID      byte
	Name    string // of a custom section; "" for others
	Raw     []byte // the whole section: id, size, content
	Content []byte // after the size and, in a custom section, after the name
}

// Sections walks the framing of a core module: it yields each section in
// order, or one error, last, if the bytes are not framed as the specification
// asks. It accepts no framing that WasmEdge's loader reads differently: every
// section that the loader could find is yielded here first, or is an error.
func Sections(module []byte) iter.Seq2[Section, error] {
	return func(yield func(Section, error) bool) {
		if err := Classify(module); err != nil {
			yield(Section{}, err)
			return
		}
		for rest := module[HeaderSize:]; len(rest) > 0; {
			s, err := readSection(rest)
			if err != nil {
				yield(Section{}, fmt.Errorf("is malformed or truncated: section %d at offset %d %w",
					rest[0], len(module)-len(rest), err))
				return
			}
			if !yield(s, nil) {
				return
			}
			rest = rest[len(s.Raw):]
		}
	}
}

// readSection reads the section at the start of b, which is not empty.
func readSection(b []byte) (Section, error) {
	r := reader{b: b[1:]}
	content, err := r.vector()
	if err != nil {
		return Section{}, fmt.Errorf("has a bad size: %w", err)
	}
	s := Section{ID: b[0], Raw: b[:len(b)-len(r.b)], Content: content}
	if s.ID != SectionCustom {
		return s, nil
	}
	r = reader{b: content}
	name, err := r.vector()
	if err != nil {
		return Section{}, fmt.Errorf("has a bad name: %w", err)
	}
	s.Name, s.Content = string(name), r.b
	return s, nil
}

// Strip returns the module without its custom sections of the given name: the
// same slice if it has none, a copy otherwise.
func Strip(module []byte, name string) ([]byte, error) {
	var kept []byte // nil until the first section is dropped
	offset := HeaderSize
	for s, err := range Sections(module) {
		switch {
		case err != nil:
			return nil, err
		case s.ID == SectionCustom && s.Name == name:
			if kept == nil {
				kept = append(make([]byte, 0, len(module)), module[:offset]...)
			}
		case kept != nil:
			kept = append(kept, s.Raw...)
		}
		offset += len(s.Raw)
	}
	if kept == nil {
		return module, nil
	}
	return kept, nil
}

var (
	errEnd     = errors.New("more bytes are needed than are left")
	errInteger = errors.New("an integer is too long")

	errTrailing  = errors.New("there are bytes after the last one")
	errTableType = errors.New("its type is not one of the specification")
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
