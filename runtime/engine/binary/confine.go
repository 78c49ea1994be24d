// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"encoding/binary"
	"fmt"
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
	// maxTableGrowth is for tables without a maximum. Few programs let one grow,
	// and many do not say so.
	maxTableGrowth = 1 << 16
)

// Confine returns the module changed in four ways:
//
// It has no custom section any more. They do nothing for a guest, native code
// that an image brings is in one, and the loader would keep a copy of each.
//
// Its start function becomes an export, StartExport: instantiation then runs no
// guest code.
//
// Each of its tables has a maximum, beyond which table.grow fails: its own, or
// 65,536 entries more than it starts with, and at most a million. More than 16
// tables, or one that starts larger, is an error.
//
// Its imports of socket functions have names for which WasmEdge compares signatures
// (renameSockets).
//
// What it returns, it would not change again. Errors are phrases without a subject.
func Confine(module []byte) ([]byte, error) {
	start, hasStart, hasExports, err := findStart(module)
	if err != nil {
		return nil, err
	}
	types, err := find(module, SectionType)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(module)+64), module[:HeaderSize]...)
	for s, err := range Sections(module) {
		if err != nil {
			return nil, err
		}
		switch {
		case s.ID == SectionImport:
			content, err := renameSockets(s.Content, types.Content)
			if err != nil {
				return nil, err
			}
			out = appendSection(out, SectionImport, content)
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
		case s.ID == sectionStart, s.ID == SectionCustom:
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

// boundTable copies a table type.
func boundTable(out []byte, r *reader) ([]byte, error) {
	reference, l, err := r.tableType()
	switch {
	case err != nil:
		return nil, fmt.Errorf("is malformed: a table: %w", err)
	case l.min > maxTableEntries:
		return nil, fmt.Errorf("has a table of %d entries, more than %d", l.min, maxTableEntries)
	}
	if l.max == noMaximum {
		l.max = l.min + maxTableGrowth
	}
	const withMaximum = 1
	out = append(append(out, reference...), withMaximum)
	out = binary.AppendUvarint(out, uint64(l.min))
	return binary.AppendUvarint(out, uint64(min(l.max, maxTableEntries))), nil
}
