// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// code is a module with these function bodies, which nothing else describes.
func code(bodies ...[]byte) []byte {
	content := binary.AppendUvarint(nil, uint64(len(bodies)))
	for _, b := range bodies {
		content = append(binary.AppendUvarint(content, uint64(len(b))), b...)
	}
	header := []byte("\x00asm\x01\x00\x00\x00\x0a")
	return slices.Concat(header, binary.AppendUvarint(nil, uint64(len(content))), content)
}

func TestCheckFunctions(t *testing.T) {
	const i32, v128, end = 0x7f, 0x7b, 0x0b
	many := func(n uint64, types ...byte) []byte {
		b := binary.AppendUvarint(nil, uint64(len(types)))
		for _, t := range types {
			b = append(binary.AppendUvarint(b, n), t)
		}
		return append(b, end)
	}
	for _, tc := range []struct {
		desc   string
		module []byte
		want   string
	}{
		{"no function", []byte("\x00asm\x01\x00\x00\x00"), ""},
		{"no locals", code([]byte{0, end}), ""},
		{"as many locals as there may be", code(many(50_000, i32)), ""},
		{"one more", code([]byte{0, end}, many(50_001, v128)), "function body 1 has more than 50000 locals"},
		{"in two groups", code(many(25_001, i32, v128)), "function body 0 has more than 50000 locals"},
		{"counts that overflow when they are added", code(many(0xffffffff, i32, i32)), "has more than 50000 locals"},
		{"references of a type", code([]byte{1, 2, 0x63, 0x80, 0x01, end}), ""},
		{"a large body", code(make([]byte, 7_654_322)), "function body 0 has 7654322 bytes, more than 7654321"},
		{"locals that end early", code([]byte{2, 1, i32}), "function body 0 is malformed: locals"},
		{"a count that is not there", []byte("\x00asm\x01\x00\x00\x00\x0a\x01\x05"), "is malformed: function bodies"},
	} {
		err := CheckFunctions(tc.module)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.desc, err, tc.want)
		}
	}
}
