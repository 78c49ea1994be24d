// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Section ids that Confine rewrites.
const (
	sectionTable  = 4
	sectionExport = 7
	sectionStart  = 8
)

// StartExport is the name under which Confine exports a module's start
// function. Package jail calls it before the entry (JAIL_START_EXPORT).
const StartExport = "containerd-wasm.start"

// A table entry takes 16 bytes of the host's memory, which no limit of a guest
// counts.
const (
	maxTables       = 16
	maxTableEntries = 1_000_000
)

// Confine returns the module changed in two ways:
//
// Its start function becomes an export, StartExport: instantiation then runs no
// guest code.
//
// Each of its tables gets a maximum of a million entries, or keeps a lower one:
// table.grow fails beyond it. More than 16 tables, or one that starts larger,
// is an error.
//
// Errors are phrases without a subject.
func Confine(module []byte) ([]byte, error) {
	start, hasStart, hasExports, err := findStart(module)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(module)+64), module[:HeaderSize]...)
	for s, err := range Sections(module) {
		if err != nil {
			return nil, err
		}
		switch {
		case s.ID == sectionTable:
			content, err := boundTables(s.Content)
			if err != nil {
				return nil, err
			}
			out = appendSection(out, sectionTable, content)
		case s.ID == sectionExport && hasStart:
			content, err := addExport(s.Content, start)
			if err != nil {
				return nil, err
			}
			out = appendSection(out, sectionExport, content)
		case s.ID == sectionStart && !hasExports:
			content, err := addExport([]byte{0}, start)
			if err != nil {
				return nil, err
			}
			out = appendSection(out, sectionExport, content)
		case s.ID == sectionStart:
		default:
			out = append(out, s.Raw...)
		}
	}
	return out, nil
}

func findStart(module []byte) (index uint32, hasStart, hasExports bool, err error) {
	for s, err := range Sections(module) {
		switch {
		case err != nil:
			return 0, false, false, err
		case s.ID == sectionExport:
			hasExports = true
		case s.ID == sectionStart && hasStart:
			return 0, false, false, fmt.Errorf("is malformed: it has two start sections")
		case s.ID == sectionStart:
			r := reader{b: s.Content}
			if index, err = r.uint32(); err != nil || len(r.b) != 0 {
				return 0, false, false, fmt.Errorf("is malformed: its start section is no function index")
			}
			hasStart = true
		}
	}
	return index, hasStart, hasExports, nil
}

func appendSection(module []byte, id byte, content []byte) []byte {
	module = append(module, id)
	module = binary.AppendUvarint(module, uint64(len(content)))
	return append(module, content...)
}

// addExport adds StartExport for a function to the content of an export
// section.
func addExport(content []byte, function uint32) ([]byte, error) {
	r := reader{b: content}
	n, err := r.uint32()
	if err != nil {
		return nil, fmt.Errorf("is malformed: exports: %w", err)
	}
	const kindFunction = 0
	out := binary.AppendUvarint(nil, uint64(n)+1)
	out = binary.AppendUvarint(append(out, r.b...), uint64(len(StartExport)))
	out = append(append(out, StartExport...), kindFunction)
	return binary.AppendUvarint(out, uint64(function)), nil
}

// boundTables gives each table of a table section's content a maximum.
func boundTables(content []byte) ([]byte, error) {
	r := reader{b: content}
	n, err := r.count()
	if err != nil {
		return nil, fmt.Errorf("is malformed: tables: %w", err)
	}
	if n > maxTables {
		return nil, fmt.Errorf("has %d tables, more than %d", n, maxTables)
	}
	out := binary.AppendUvarint(nil, uint64(n))
	for range n {
		if out, err = boundTable(out, &r); err != nil {
			return nil, err
		}
	}
	if len(r.b) != 0 {
		return nil, fmt.Errorf("is malformed: tables: %w", errTrailing)
	}
	return out, nil
}

// boundTable copies a table type: a reference type, and limits without (0) or
// with (1) a maximum.
func boundTable(out []byte, r *reader) ([]byte, error) {
	before := r.b
	err := r.valueType()
	reference := before[:len(before)-len(r.b)]
	if err == nil && len(reference) > 0 && !slices.Contains([]byte{0x70, 0x6f, 0x63, 0x64}, reference[0]) {
		err = errTableType
	}
	var flags byte
	if err == nil {
		flags, err = r.byte()
	}
	var minimum, maximum uint32
	if err == nil {
		minimum, err = r.uint32()
	}
	maximum = maxTableEntries
	if err == nil && flags == 1 {
		maximum, err = r.uint32()
	}
	switch {
	case err == nil && flags > 1:
		err = errTableType
		fallthrough
	case err != nil:
		return nil, fmt.Errorf("is malformed: a table: %w", err)
	case minimum > maxTableEntries:
		return nil, fmt.Errorf("has a table of %d entries, more than %d", minimum, maxTableEntries)
	case maximum < minimum:
		return nil, fmt.Errorf("is malformed: a table's maximum is below its minimum")
	}
	out = append(append(out, reference...), 1)
	out = binary.AppendUvarint(out, uint64(minimum))
	return binary.AppendUvarint(out, uint64(min(maximum, maxTableEntries))), nil
}
