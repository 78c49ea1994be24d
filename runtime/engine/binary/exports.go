// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"errors"
	"fmt"
	"iter"
)

// A Function is one that a module exports.
type Function struct {
	Name            string
	Params, Results int
	I32             bool // its last result is an i32
	Imported        bool // it is not the module's own
}

// Functions yields the functions that a module exports, in order, but for
// StartExport; or one error, last, a phrase without a subject. The module imports
// functions only, as those that Imports has accepted.
func Functions(module []byte) iter.Seq2[Function, error] {
	return func(yield func(Function, error) bool) {
		section, err := find(module, sectionExport)
		if err != nil || section.Raw == nil {
			if err != nil {
				yield(Function{}, err)
			}
			return
		}
		all, err := readTypes(module)
		if err != nil {
			yield(Function{}, err)
			return
		}
		r := reader{b: section.Content}
		n, err := r.count()
		for ; err == nil && n > 0; n-- {
			var f Function
			var ok bool
			f, ok, err = all.readExport(&r)
			if ok && f.Name != StartExport && !yield(f, nil) {
				return
			}
		}
		if err != nil {
			yield(Function{}, fmt.Errorf("is malformed: exports: %w", err))
		}
	}
}

// functionTypes says of which type each function is.
type functionTypes struct {
	types    []Function // of which the name is empty
	typeOf   []uint32   // indices into types, of the imported functions first
	imported int
}

func readTypes(module []byte) (*functionTypes, error) {
	x := &functionTypes{}
	for imp, err := range Imports(module) {
		if err == nil && imp.Kind != KindFunction {
			err = errors.New("imports something that is no function")
		}
		if err != nil {
			return nil, err
		}
		x.typeOf = append(x.typeOf, imp.Type)
	}
	x.imported = len(x.typeOf)
	for id, read := range map[byte]func(*reader) error{SectionType: x.readType, SectionFunction: x.readFunction} {
		s, err := find(module, id)
		if err != nil {
			return nil, err
		}
		var n uint64
		if err := (&reader{b: s.Content}).each(&n, read); s.Raw != nil && err != nil {
			return nil, fmt.Errorf("is malformed: in section %d, %w", id, err)
		}
	}
	return x, nil
}

func (x *functionTypes) readType(r *reader) error {
	const function, i32 = 0x60, 0x7f
	form, err := r.byte()
	if err == nil && form != function {
		err = errKind
	}
	var params, results uint64
	if err == nil {
		err = r.each(&params, (*reader).valueType)
	}
	last := byte(0)
	if err == nil {
		err = r.each(&results, func(r *reader) error {
			if len(r.b) > 0 {
				last = r.b[0]
			}
			return r.valueType()
		})
	}
	x.types = append(x.types, Function{Params: int(params), Results: int(results), I32: last == i32})
	return err
}

func (x *functionTypes) readFunction(r *reader) error {
	t, err := r.uint32()
	x.typeOf = append(x.typeOf, t)
	return err
}

// readExport reads an export, and says whether it is a function.
func (x *functionTypes) readExport(r *reader) (f Function, ok bool, err error) {
	name, err := r.vector()
	if err != nil {
		return f, false, err
	}
	kind, err := r.byte()
	if err != nil {
		return f, false, err
	}
	index, err := r.uint32()
	if err != nil || Kind(kind) != KindFunction {
		return f, false, err
	}
	if uint64(index) >= uint64(len(x.typeOf)) || uint64(x.typeOf[index]) >= uint64(len(x.types)) {
		return f, false, errors.New("one is a function that is not there")
	}
	f = x.types[x.typeOf[index]]
	f.Name, f.Imported = string(name), int(index) < x.imported
	return f, true, nil
}
