// SPDX-License-Identifier: Apache-2.0

package binary

import "fmt"

// Compiled code does not probe its stack: a function whose frame is larger than
// the guard below a guest's stack could write past it. So frames are bounded by
// what goes into them, with the limits that browsers have (WebAssembly
// JavaScript Interface, implementation limits): far above what compilers emit.
const (
	maxLocals       = 50_000
	maxFunctionSize = 7_654_321 // bytes of a body
)

// SectionCode is the id of the section of function bodies.
const SectionCode = 10

// CheckFunctions returns an error, a phrase without a subject, if a function of
// the module has more locals or a larger body than any compiler emits.
func CheckFunctions(module []byte) error {
	index := 0
	for s, err := range Sections(module) {
		switch {
		case err != nil:
			return err
		case s.ID != SectionCode:
			continue
		}
		r := reader{b: s.Content}
		n, err := r.count()
		if err != nil {
			return fmt.Errorf("is malformed: function bodies: %w", err)
		}
		for ; n > 0; n-- {
			if err := checkFunction(&r); err != nil {
				return fmt.Errorf("function body %d %w", index, err)
			}
			index++
		}
	}
	return nil
}

func checkFunction(r *reader) error {
	body, err := r.vector()
	if err != nil {
		return fmt.Errorf("is malformed: %w", err)
	}
	if len(body) > maxFunctionSize {
		return fmt.Errorf("has %d bytes, more than %d", len(body), maxFunctionSize)
	}
	// Each group of locals is a count and a type.
	locals := reader{b: body}
	groups, err := locals.count()
	if err != nil {
		return fmt.Errorf("is malformed: locals: %w", err)
	}
	total := uint64(0)
	for ; groups > 0; groups-- {
		count, err := locals.uint32()
		if err == nil {
			err = locals.valueType()
		}
		if err != nil {
			return fmt.Errorf("is malformed: locals: %w", err)
		}
		if total += uint64(count); total > maxLocals {
			return fmt.Errorf("has more than %d locals", maxLocals)
		}
	}
	return nil
}
