// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"cmp"
	stdbinary "encoding/binary"
	"slices"
)

// Names of functions are for people who read why a guest trapped. They come as a table
// of our own: for each function that has a name, in the order of their indices, the
// index and the length of the name, both LEB128, and the name. Nothing in it was looked
// at: a name may have any bytes.

const (
	// MaxNames is the size in bytes of the largest table; functions beyond it have no
	// name.
	MaxNames = 4 << 20
	// MaxName is how much is kept of each, in bytes.
	MaxName = 200

	// An entry has two bytes at least.
	maxNamed = MaxNames / 2
)

// A name is one of a function.
type name struct {
	function uint32
	text     []byte
}

// FunctionNames makes the table for a module: a function has the name that the section
// "name" gives it, or else that of its first export. What is malformed has no names.
func FunctionNames(module []byte) []byte {
	var named, exported []name
	for s, err := range Sections(module) {
		switch {
		case err != nil:
			return nil
		case s.ID == SectionCustom && s.Name == "name" && named == nil:
			named = readNameSection(s.Content)
		case s.ID == sectionExport:
			exported = readExportNames(s.Content)
		}
	}
	return mergeNames(named, exported)
}

// mergeNames makes a table of two sorted lists, of which the first counts.
func mergeNames(first, second []name) []byte {
	var table []byte
	for len(first) > 0 || len(second) > 0 {
		from := &first
		if len(first) == 0 || len(second) > 0 && second[0].function < first[0].function {
			from = &second
		}
		n := (*from)[0]
		*from = (*from)[1:]
		for len(second) > 0 && second[0].function == n.function {
			second = second[1:]
		}
		n.text = n.text[:min(len(n.text), MaxName)]
		entry := stdbinary.AppendUvarint(nil, uint64(n.function))
		entry = append(stdbinary.AppendUvarint(entry, uint64(len(n.text))), n.text...)
		if len(table)+len(entry) > MaxNames {
			break
		}
		table = append(table, entry...)
	}
	return table
}

// readNameSection reads names of functions up to what is malformed, or out of order
// (core specification, appendix "Custom Sections").
func readNameSection(content []byte) (names []name) {
	const functions = 1
	r := reader{b: content}
	for len(r.b) > 0 {
		id, err := r.byte()
		if err != nil {
			return nil
		}
		sub, err := r.vector()
		if err != nil {
			return nil
		}
		if id == functions {
			return readNameMap(sub)
		}
	}
	return nil
}

func readNameMap(content []byte) (names []name) {
	r := reader{b: content}
	n, err := r.count()
	for ; err == nil && n > 0 && len(names) < maxNamed; n-- {
		var next name
		if next, err = readName(&r); err != nil {
			break
		}
		if len(names) > 0 && next.function <= names[len(names)-1].function {
			break
		}
		names = append(names, next)
	}
	return names
}

func readName(r *reader) (n name, err error) {
	if n.function, err = r.uint32(); err == nil {
		n.text, err = r.vector()
	}
	return n, err
}

// readExportNames returns the first name of each function that is exported.
func readExportNames(content []byte) (names []name) {
	r := reader{b: content}
	n, err := r.count()
	for ; err == nil && n > 0 && len(names) < maxNamed; n-- {
		var export name
		var kind byte
		if export.text, err = r.vector(); err != nil {
			break
		}
		if kind, err = r.byte(); err != nil {
			break
		}
		if export.function, err = r.uint32(); err == nil && Kind(kind) == KindFunction {
			names = append(names, export)
		}
	}
	slices.SortStableFunc(names, func(a, b name) int { return cmp.Compare(a.function, b.function) })
	return slices.CompactFunc(names, func(a, b name) bool { return a.function == b.function })
}

// LookUpNames finds the names of some functions in a table. Those that have none are not
// in the result, nor is what comes after an entry that is malformed.
func LookUpNames(table []byte, functions []uint32) map[uint32]string {
	found := make(map[uint32]string, len(functions))
	for r := (reader{b: table}); len(r.b) > 0 && len(found) < len(functions); {
		n, err := readName(&r)
		if err != nil {
			break
		}
		if slices.Contains(functions, n.function) {
			found[n.function] = string(n.text[:min(len(n.text), MaxName)])
		}
	}
	return found
}
