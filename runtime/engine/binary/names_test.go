// SPDX-License-Identifier: Apache-2.0

package binary

import (
	stdbinary "encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// nameMap is the content of a name map: pairs of an index and a name.
func nameMap(pairs ...any) []byte {
	b := stdbinary.AppendUvarint(nil, uint64(len(pairs)/2))
	for i := 0; i < len(pairs); i += 2 {
		b = stdbinary.AppendUvarint(b, uint64(pairs[i].(int)))
		b = appendString(b, pairs[i+1].(string))
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(stdbinary.AppendUvarint(b, uint64(len(s))), s...)
}

// subsection is one of a name section.
func subsection(id byte, content []byte) []byte { return appendString([]byte{id}, string(content)) }

// exports is an export section: pairs of a name and an index; a negative one is that of
// a memory.
func exports(pairs ...any) []byte {
	b := stdbinary.AppendUvarint(nil, uint64(len(pairs)/2))
	for i := 0; i < len(pairs); i += 2 {
		b = appendString(b, pairs[i].(string))
		kind, index := byte(KindFunction), pairs[i+1].(int)
		if index < 0 {
			kind, index = 2, -index
		}
		b = stdbinary.AppendUvarint(append(b, kind), uint64(index))
	}
	return appendSection(nil, sectionExport, b)
}

func TestFunctionNames(t *testing.T) {
	long := strings.Repeat("n", 1000)
	for name, c := range map[string]struct {
		sections [][]byte
		want     map[uint32]string
	}{
		"none":     {nil, map[uint32]string{}},
		"section":  {[][]byte{custom("name", subsection(1, nameMap(0, "a", 7, "b", 300, "c")))}, map[uint32]string{0: "a", 7: "b", 300: "c"}},
		"exports":  {[][]byte{exports("second", 2, "memory", -1, "first", 1, "alias", 2)}, map[uint32]string{1: "first", 2: "second"}},
		"both":     {[][]byte{exports("x", 1, "y", 2, "z", 5), custom("name", subsection(1, nameMap(0, "a", 2, "b", 9, "c")))}, map[uint32]string{0: "a", 1: "x", 2: "b", 5: "z", 9: "c"}},
		"others":   {[][]byte{custom("name", slices.Concat(subsection(0, []byte("\x03mod")), subsection(1, nameMap(1, "f")), subsection(2, []byte{0xff}))), custom("producers", nil)}, map[uint32]string{1: "f"}},
		"no names": {[][]byte{custom("name", subsection(2, nil))}, map[uint32]string{}},
		"not UTF-8, empty, long": {[][]byte{custom("name", subsection(1, nameMap(0, "\xff\x00", 1, "", 2, long)))},
			map[uint32]string{0: "\xff\x00", 1: "", 2: long[:MaxName]}},
		"out of order": {[][]byte{custom("name", subsection(1, nameMap(3, "a", 2, "b", 4, "c")))}, map[uint32]string{3: "a"}},
		"twice":        {[][]byte{custom("name", subsection(1, nameMap(3, "a", 3, "b")))}, map[uint32]string{3: "a"}},
		"cut":          {[][]byte{custom("name", subsection(1, nameMap(3, "a", 4, "bcd")[:6]))}, map[uint32]string{3: "a"}},
		"count":        {[][]byte{custom("name", subsection(1, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 'x'}))}, map[uint32]string{}},
		"size":         {[][]byte{custom("name", []byte{1, 100, 1})}, map[uint32]string{}},
		"bad exports":  {[][]byte{appendSection(nil, sectionExport, []byte{2, 1, 'a', 0, 1, 9}), custom("name", subsection(1, nameMap(5, "f")))}, map[uint32]string{1: "a", 5: "f"}},
		"bad framing":  {[][]byte{exports("a", 1), {0, 100}}, map[uint32]string{}},
	} {
		table := FunctionNames(slices.Concat(append([][]byte{[]byte(header)}, c.sections...)...))
		got := LookUpNames(table, []uint32{0, 1, 2, 3, 4, 5, 7, 9, 300})
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// A table has a size, whatever the module has.
func TestFunctionNamesAreBounded(t *testing.T) {
	var pairs []any
	for i := range 30_000 {
		pairs = append(pairs, i, fmt.Sprintf("%0250d", i))
	}
	table := FunctionNames(slices.Concat([]byte(header), custom("name", subsection(1, nameMap(pairs...)))))
	if len(table) > MaxNames || len(table) < MaxNames-2*MaxName {
		t.Errorf("the table has %d bytes", len(table))
	}
	last := uint32(len(table) / 300)
	if got := LookUpNames(table, []uint32{last, 29_999}); len(got) != 1 || len(got[last]) != MaxName {
		t.Errorf("got %v", got)
	}
}

func TestLookUpNamesInWhatIsNoTable(t *testing.T) {
	for _, table := range []string{"", "\xff", "\x01\x05ab", "\x01\x01a\xff\xff\xff\xff\xff\xff", "\x01\xff\xff\xff\xff\x0f"} {
		for i, name := range LookUpNames([]byte(table), []uint32{0, 1, 2}) {
			if i != 1 || name != "a" {
				t.Errorf("%q: %d is %q", table, i, name)
			}
		}
	}
}

func FuzzFunctionNames(f *testing.F) {
	addSeeds(f)
	f.Add(slices.Concat([]byte(header), exports("f", 1, "g", 0), custom("name", subsection(1, nameMap(0, "a", 1, "b")))))
	f.Fuzz(func(t *testing.T, module []byte) {
		table := FunctionNames(module)
		if len(table) > MaxNames {
			t.Errorf("%d bytes", len(table))
		}
		last := -1
		for r := (reader{b: table}); len(r.b) > 0; {
			n, err := readName(&r)
			if err != nil || int(n.function) <= last || len(n.text) > MaxName {
				t.Fatalf("after %d: %d, %q, %v", last, n.function, n.text, err)
			}
			last = int(n.function)
			if got := LookUpNames(table, []uint32{n.function}); got[n.function] != string(n.text) {
				t.Errorf("%d is %v, want %q", n.function, got, n.text)
			}
		}
	})
}

func FuzzLookUpNames(f *testing.F) {
	f.Add([]byte("\x00\x01a\x05\x02bc\xac\x02\x00"), uint32(5))
	f.Add([]byte("\xff\xff\xff\xff\x0f\xff"), uint32(0))
	f.Fuzz(func(t *testing.T, table []byte, function uint32) {
		for i, name := range LookUpNames(table, []uint32{function}) {
			if i != function || len(name) > MaxName {
				t.Errorf("%d is %q", i, name)
			}
		}
	})
}

func TestFunctionsOfCode(t *testing.T) {
	f := (&compiled{codes: []uint32{0x1430, 0x1500, 0x1460}, segments: []segment{{kind: 4, start: 0x388, end: 0x400}, {kind: segmentText, start: 0x1420, end: 0x1600}}}).located()
	for offset, want := range map[uint64]int{0x430: 0, 0x460: 2, 0x500: 1, 0: -1, 0x431: -1, 0x1430: -1, 1<<64 - 0x1000: -1, 1<<32 + 0x430: -1} {
		i, ok := f.Function(offset)
		if ok != (want >= 0) || ok && i != want {
			t.Errorf("%#x: %d, %t, want %d", offset, i, ok, want)
		}
	}
	two := (&compiled{codes: []uint32{0x1430}, segments: []segment{{kind: segmentText, start: 0x1420, end: 0x1600}, {kind: segmentText, start: 0x2000, end: 0x2100}}}).located()
	if _, ok := two.Function(0x430); ok {
		t.Error("code in two parts tells where a function is")
	}
}
