// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"math"
	"slices"
)

// Code tells which function of a module an address in its native code is.
type Code struct {
	codes []uint32 // in bytes from the start of the image
	text  uint32   // the page in which its executable part begins
}

// located is empty if there are several executable parts: addresses are told by how
// far they are from the start of it.
func (c *compiled) located() Code {
	const page = 4096 // of WasmEdge's loader, on Linux
	f := Code{codes: c.codes}
	parts := 0
	for _, s := range c.segments {
		if s.kind == segmentText {
			f.text = uint32(s.start &^ (page - 1))
			parts++
		}
	}
	if parts != 1 {
		return Code{}
	}
	return f
}

// Function finds the function that begins at an address: bytes from where the executable part
// is mapped, a whole page. The index does not count imported functions.
func (f *Code) Function(offset uint64) (index int, ok bool) {
	at := uint64(f.text) + offset
	if at >= math.MaxUint32 {
		return 0, false
	}
	index = slices.Index(f.codes, uint32(at))
	return index, index >= 0
}
