// SPDX-License-Identifier: Apache-2.0

package modules

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Section ids, types and instructions of the binary format
// (https://webassembly.github.io/spec/core/binary/index.html).
const (
	custom    = 0
	types     = 1
	imports   = 2
	funcs     = 3
	tables    = 4
	memories  = 5
	globals   = 6
	exports   = 7
	start     = 8
	elements  = 9
	code      = 10
	data      = 11
	dataCount = 12

	i32      = 0x7f
	i64      = 0x7e
	funcref  = 0x70
	funcType = 0x60

	opUnreachable = 0x00
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opEnd         = 0x0b
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opReturn      = 0x0f
	opCall        = 0x10
	opDrop        = 0x1a
	opLocalGet    = 0x20
	opLocalSet    = 0x21
	opLocalTee    = 0x22
	opI32Load     = 0x28
	opI64Load     = 0x29
	opI32Store    = 0x36
	opI64Store    = 0x37
	opI32Const    = 0x41
	opI64Const    = 0x42
	opI32Eqz      = 0x45
	opI32Eq       = 0x46
	opI32LtU      = 0x49
	opI32Add      = 0x6a
	opI32DivU     = 0x6e
	opI32RemU     = 0x70
	opI64Add      = 0x7c
	opI64ExtendS  = 0xac
	opAtomic      = 0xfe
	blockEmpty    = 0x40
)

var (
	header = []byte("\x00asm\x01\x00\x00\x00")

	// noParams is the type of functions without parameters and results.
	noParams = []byte{funcType, 0, 0}
	// emptyBody is a function that returns.
	emptyBody = sized([]byte{0, opEnd})
)

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// sized puts its length before b: what vectors of bytes, function bodies and the
// content of sections look like.
func sized(b []byte) []byte { return append(leb(len(b)), b...) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func section(id byte, content ...[]byte) []byte {
	return join([]byte{id}, sized(join(content...)))
}

// vector is n items, which are given, or one that is repeated.
func vector(n int, item []byte) []byte { return join(leb(n), bytes.Repeat(item, n)) }

func list(items ...[]byte) []byte { return join(leb(len(items)), join(items...)) }

func module(sections ...[]byte) []byte { return join(header, join(sections...)) }

// exported exports function number index as name.
func exported(name string, index int) []byte {
	return join(sized([]byte(name)), []byte{0}, leb(index))
}

// command is a module whose _start has the given locals and code and the type
// noParams, and more sections, which are put where they belong.
func command(body []byte, more ...[]byte) []byte {
	all := append([][]byte{
		section(types, list(noParams)),
		section(funcs, list([]byte{0})),
		section(exports, list(exported("_start", 0))),
		section(code, list(sized(body))),
	}, more...)
	slices.SortStableFunc(all, func(a, b []byte) int { return order(a[0]) - order(b[0]) })
	return module(all...)
}

// order is where a section has its place.
func order(id byte) int {
	switch id {
	case custom:
		return 100
	case dataCount:
		return 2*elements + 1
	default:
		return 2 * int(id)
	}
}
