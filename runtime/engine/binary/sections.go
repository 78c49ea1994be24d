// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"
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
	if !utf8.Valid(name) {
		return Section{}, errors.New("has a name that is not UTF-8")
	}
	s.Name, s.Content = string(name), r.b
	return s, nil
}
