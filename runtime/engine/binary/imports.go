// SPDX-License-Identifier: Apache-2.0

package binary

import (
	stdbinary "encoding/binary"
	"fmt"
	"iter"
)

// Kind is the kind of an imported or exported thing.
type Kind byte

// KindFunction is the only kind that a WASI host provides.
const KindFunction Kind = 0

func (k Kind) String() string {
	names := [...]string{"function", "table", "memory", "global", "tag"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// An Import is one entry of the import section. Type is the index into the
// type section, of functions only.
type Import struct {
	Module, Name string
	Kind         Kind
	Type         uint32
}

// Imports yields the module's imports in order, or one error, last. It ends
// after the first that is not a function: such a module is refused anyway, and
// the descriptions of tables, memories and globals need not be decoded.
func Imports(module []byte) iter.Seq2[Import, error] {
	return func(yield func(Import, error) bool) {
		section, err := find(module, SectionImport)
		if err != nil {
			yield(Import{}, err)
			return
		}
		if section.Raw == nil {
			return
		}
		r := reader{b: section.Content}
		n, err := r.uint32()
		for i := uint32(0); err == nil && i < n; i++ {
			var imp Import
			if imp, err = readImport(&r); err != nil {
				break
			}
			if !yield(imp, nil) || imp.Kind != KindFunction {
				return
			}
		}
		if err != nil {
			yield(Import{}, fmt.Errorf("is malformed: in its import section, %w", err))
		}
	}
}

func readImport(r *reader) (imp Import, err error) {
	var module, name []byte
	if module, err = r.vector(); err != nil {
		return imp, err
	}
	if name, err = r.vector(); err != nil {
		return imp, err
	}
	kind, err := r.byte()
	if err != nil {
		return imp, err
	}
	imp = Import{Module: string(module), Name: string(name), Kind: Kind(kind)}
	if imp.Kind == KindFunction {
		imp.Type, err = r.uint32()
	}
	return imp, err
}

// appendImport adds a function's import to the entries of an import section.
func appendImport(b []byte, imp Import) []byte {
	for _, s := range []string{imp.Module, imp.Name} {
		b = append(stdbinary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = append(b, byte(imp.Kind))
	return stdbinary.AppendUvarint(b, uint64(imp.Type))
}

// Probe builds a module that has module's types and imports one function, and
// nothing else. It can be instantiated exactly if the host provides that
// function with that signature.
func Probe(module []byte, imp Import) ([]byte, error) {
	types, err := find(module, SectionType)
	if err != nil {
		return nil, err
	}
	entry := appendImport([]byte{1}, imp)
	probe := append(append([]byte{}, magic...), moduleVersion...)
	probe = append(probe, types.Raw...)
	probe = append(probe, SectionImport)
	probe = stdbinary.AppendUvarint(probe, uint64(len(entry)))
	return append(probe, entry...), nil
}

// find returns the first section with the given id; Raw is nil if there is none.
func find(module []byte, id byte) (Section, error) {
	for s, err := range Sections(module) {
		if err != nil || s.ID == id {
			return s, err
		}
	}
	return Section{}, nil
}

// HasSection says whether the module has a section with the given id. Framing
// errors count as no.
func HasSection(module []byte, id byte) bool {
	s, err := find(module, id)
	return err == nil && s.Raw != nil
}
