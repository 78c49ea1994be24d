// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
)

// CompiledSection is the custom section in which WasmEdge keeps native code.
const CompiledSection = "wasmedge"

// Values of the compiled section's header, from WasmEdge's
// lib/loader/ast/section.cpp.
const (
	compiledLinux = 1
	segmentText   = 1
	segmentMax    = 4
)

var compiledArch = map[string]byte{"amd64": 1, "arm64": 2, "riscv64": 3, "arm": 4}

// compiled is what WasmEdge's loader compares with the module itself.
type compiled struct {
	types, functions int
	codes            []uint32 // where functions begin, in bytes from the start of the image
	segments         []segment
}

// segment is a piece of a linked image, in bytes from its start.
type segment struct {
	kind       byte
	start, end uint64
}

// CheckCompiled reports why WasmEdge's loader would not use the native code in
// an artefact, a universal Wasm file that the compiler wrote, and would fall
// back to its interpreter without a word. The rules are the loader's:
// loadExecutable in lib/loader/ast/module.cpp, AOTSection::load in
// lib/loader/aot_section.cpp. It also refuses an object that was never linked,
// which the compiler writes when its linker fails (a full disk, a limit): in
// one all segments start at 0.
//
// If there is no such reason, it returns where in the code the functions are.
func CheckCompiled(artefact []byte) (Code, error) {
	c, err := checkCompiled(artefact)
	if err == nil {
		err = checkSegments(c)
	}
	if err != nil {
		return Code{}, err
	}
	return c.located(), nil
}

func checkCompiled(artefact []byte) (c compiled, err error) {
	var code Section
	var types, functions int
	for s, err := range Sections(artefact) {
		switch {
		case err != nil:
			return c, err
		case code.Raw != nil:
			return c, errors.New("has a section after its compiled code")
		case s.ID == SectionCustom && s.Name == CompiledSection:
			code = s
		case s.ID == SectionType:
			types, err = vectorLength(s)
		case s.ID == SectionFunction:
			functions, err = vectorLength(s)
		}
		if err != nil {
			return c, err
		}
	}
	if code.Raw == nil {
		return c, errors.New("has no compiled code")
	}
	if c, err = readCompiled(code.Content, functions); err != nil {
		return c, fmt.Errorf("has malformed compiled code: %w", err)
	}
	if c.types != types || c.functions != functions {
		return c, fmt.Errorf("has compiled code for %d types and %d functions, and the module has %d and %d",
			c.types, c.functions, types, functions)
	}
	return c, nil
}

func vectorLength(s Section) (int, error) {
	r := reader{b: s.Content}
	return r.count()
}

// readCompiled decodes the section's content: version u32, os byte, arch byte,
// version address u64, intrinsics address u64, types vec(u64), codes vec(u64),
// segments vec(kind byte, address u64, size u64, bytes). Of the codes, it keeps as many as
// the module has functions, or none.
func readCompiled(content []byte, functions int) (c compiled, err error) {
	r := reader{b: content}
	if _, err = r.uint32(); err != nil {
		return c, err
	}
	for _, want := range []byte{compiledLinux, compiledArch[runtime.GOARCH]} {
		got, err := r.byte()
		if err != nil {
			return c, err
		}
		if got != want {
			return c, errors.New("it is for another operating system or architecture")
		}
	}
	for range 2 {
		if _, err = r.uint64(); err != nil {
			return c, err
		}
	}
	if c.types, _, err = readAddresses(&r, 0); err != nil {
		return c, err
	}
	if c.functions, c.codes, err = readAddresses(&r, functions); err != nil {
		return c, err
	}
	n, err := r.count()
	for ; err == nil && n > 0; n-- {
		var s segment
		if s, err = readSegment(&r); err == nil {
			c.segments = append(c.segments, s)
		}
	}
	if err == nil && len(r.b) > 0 {
		err = errors.New("there are bytes after its end")
	}
	return c, err
}

// readAddresses returns how many there are and, if that is as expected, all of them. No
// image has more than maxImage: an address beyond it is of no use.
func readAddresses(r *reader, expected int) (n int, list []uint32, err error) {
	if n, err = r.count(); err != nil {
		return n, nil, err
	}
	if n == expected {
		list = make([]uint32, n)
	}
	for i := range n {
		address, err := r.uint64()
		if err != nil {
			return n, nil, err
		}
		if list != nil {
			list[i] = uint32(min(address, math.MaxUint32))
		}
	}
	return n, list, nil
}

func readSegment(r *reader) (s segment, err error) {
	if s.kind, err = r.byte(); err != nil {
		return s, err
	}
	if s.start, err = r.uint64(); err != nil {
		return s, err
	}
	size, err := r.uint64()
	if err != nil {
		return s, err
	}
	s.end = s.start + size
	data, err := r.vector()
	if err != nil {
		return s, err
	}
	if s.kind == 0 || s.kind > segmentMax || s.end < s.start || uint64(len(data)) > size {
		return s, errors.New("a segment is out of range")
	}
	return s, nil
}

// maxImage bounds the memory that a loaded image may ask for: addresses in it
// are attacker-influenced, and the loader allocates up to the highest.
const maxImage = 4 << 30

func checkSegments(c compiled) error {
	text := false
	slices.SortFunc(c.segments, func(a, b segment) int { return cmp.Compare(a.start, b.start) })
	for i, s := range c.segments {
		if s.end > maxImage {
			return errors.New("has compiled code that takes more than 4 GiB")
		}
		if i > 0 && s.start < c.segments[i-1].end {
			return errors.New("has compiled code that was not linked")
		}
		text = text || s.kind == segmentText
	}
	if c.functions > 0 && !text {
		return errors.New("has no machine code for its functions")
	}
	return nil
}
