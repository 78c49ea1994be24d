// SPDX-License-Identifier: Apache-2.0

package binary

// Bits of the number that an element segment starts with; without the first, it
// is active.
const (
	elementNotActive   = 1
	elementExplicit    = 2 // active: names its table
	elementExpressions = 4 // expressions instead of function indices
	elementMax         = 7
)

func (c *Counts) addElementSegment(r *reader) error {
	flags, err := r.uint32()
	if err == nil && flags > elementMax {
		err = errKind
	}
	if err == nil && flags&elementNotActive == 0 {
		err = r.activeSegment(flags&elementExplicit != 0)
	}
	element, kind := (*reader).index, (*reader).skipByte
	if flags&elementExpressions != 0 {
		element, kind = (*reader).constant, (*reader).valueType
	}
	if err == nil && flags&(elementNotActive|elementExplicit) != 0 {
		err = kind(r)
	}
	if err == nil {
		err = r.each(&c.Elements, element)
	}
	return err
}

func (c *Counts) addDataSegment(r *reader) error {
	const active, passive, explicit = 0, 1, 2
	flags, err := r.uint32()
	if err == nil && flags > explicit {
		err = errKind
	}
	if err == nil && flags != passive {
		err = r.activeSegment(flags != active)
	}
	if err != nil {
		return err
	}
	data, err := r.vector()
	c.DataBytes += uint64(len(data))
	return err
}

// activeSegment skips where an active segment goes: to a table or memory, if it
// names one, and to an offset.
func (r *reader) activeSegment(explicit bool) error {
	if explicit {
		if err := r.index(); err != nil {
			return err
		}
	}
	return r.constant()
}

// constant skips a constant expression.
func (r *reader) constant() error {
	const end = 0x0b
	for {
		op, err := r.byte()
		if err == nil && op != end {
			err = r.immediate(op)
		}
		if err != nil || op == end {
			return err
		}
	}
}

// immediate skips what follows an instruction of a constant expression.
func (r *reader) immediate(op byte) error {
	const (
		globalGet, i32Const, i64Const, f32Const, f64Const = 0x23, 0x41, 0x42, 0x43, 0x44

		refNull, refFunc, vector = 0xd0, 0xd2, 0xfd
		v128Const                = 12 // after vector
	)
	switch op {
	case globalGet, refFunc:
		return r.index()
	case i32Const, refNull:
		return r.skipInteger(33)
	case i64Const:
		return r.skipInteger(64)
	case f32Const:
		return r.skip(4)
	case f64Const:
		return r.skip(8)
	case vector:
		sub, err := r.uint32()
		if err == nil && sub != v128Const {
			err = errKind
		}
		if err == nil {
			err = r.skip(16)
		}
		return err
	}
	return errKind
}
