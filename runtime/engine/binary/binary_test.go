// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"bytes"
	stdbinary "encoding/binary"
	"runtime"
	"slices"
	"testing"
)

const header = "\x00asm\x01\x00\x00\x00"

func custom(name string, content []byte) []byte {
	body := slices.Concat([]byte{byte(len(name))}, []byte(name), content)
	return append(stdbinary.AppendUvarint([]byte{SectionCustom}, uint64(len(body))), body...)
}

func TestImportsAndProbe(t *testing.T) {
	module := []byte(header + "\x01\x04\x01\x60\x00\x00" + "\x02\x18\x03" + "\x01a\x01b\x00\x00" + "\x01a\x01m\x02\x00\x01" + "\x01a\x01c\x00\x00\x00\x00\x00\x00")
	var got []Import
	for imp, err := range Imports(module) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, imp)
	}
	want := []Import{{Module: "a", Name: "b"}, {Module: "a", Name: "m", Kind: 2}}
	if !slices.Equal(got, want) || got[1].Kind.String() != "memory" || Kind(9).String() != "kind 9" {
		t.Errorf("got %v, want %v", got, want)
	}
	probe, err := Probe(module, got[0])
	if err != nil {
		t.Fatal(err)
	}
	if want := header + "\x01\x04\x01\x60\x00\x00" + "\x02\x07\x01\x01a\x01b\x00\x00"; string(probe) != want {
		t.Errorf("probe %x, want %x", probe, want)
	}
}

// artefact builds a module with one type and one function, and compiled code
// with the given counts and segments of (kind, start, size).
func artefact(types, codes int, segments ...[3]uint64) []byte {
	c := []byte{1, compiledLinux, compiledArch[runtime.GOARCH], 8, 16}
	for _, n := range []int{types, codes} {
		c = stdbinary.AppendUvarint(c, uint64(n))
		c = append(c, make([]byte, n)...)
	}
	c = stdbinary.AppendUvarint(c, uint64(len(segments)))
	for _, s := range segments {
		c = append(c, byte(s[0]))
		c = stdbinary.AppendUvarint(stdbinary.AppendUvarint(c, s[1]), s[2])
		c = append(c, 1, 'x')
	}
	return slices.Concat([]byte(header+"\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00"), custom(CompiledSection, c))
}

func TestCheckCompiled(t *testing.T) {
	data, text := [3]uint64{2, 0, 100}, [3]uint64{segmentText, 4096, 100}
	good := artefact(1, 1, text, data)
	if _, err := CheckCompiled(good); err != nil {
		t.Fatal(err)
	}
	foreign := bytes.Clone(good)
	foreign[bytes.Index(foreign, []byte(CompiledSection))+len(CompiledSection)+1]++
	for name, c := range map[string]struct {
		artefact []byte
		want     string
	}{
		"no code":        {good[:18], "has no compiled code"},
		"two":            {slices.Concat(good, custom(CompiledSection, nil)), "has a section after its compiled code"},
		"cut":            {good[:len(good)-1], "is malformed or truncated: section 0 at offset 18 has a bad size: more bytes are needed than are left"},
		"empty":          {slices.Concat(good[:18], custom(CompiledSection, nil)), "has malformed compiled code: more bytes are needed than are left"},
		"foreign":        {foreign, "has malformed compiled code: it is for another operating system or architecture"},
		"types":          {artefact(2, 1, text), "has compiled code for 2 types and 1 functions, and the module has 1 and 1"},
		"codes":          {artefact(1, 0, text), "has compiled code for 1 types and 0 functions, and the module has 1 and 1"},
		"no text":        {artefact(1, 1, data), "has no machine code for its functions"},
		"not linked":     {artefact(1, 1, data, [3]uint64{segmentText, 0, 100}), "has compiled code that was not linked"},
		"kind":           {artefact(1, 1, [3]uint64{5, 0, 100}), "has malformed compiled code: a segment is out of range"},
		"wraps":          {artefact(1, 1, [3]uint64{segmentText, 1<<64 - 1, 100}), "has malformed compiled code: a segment is out of range"},
		"overfull":       {artefact(1, 1, [3]uint64{segmentText, 0, 0}), "has malformed compiled code: a segment is out of range"},
		"out of address": {artefact(1, 1, [3]uint64{segmentText, 1 << 40, 100}), "has compiled code that takes more than 4 GiB"},
	} {
		if _, err := CheckCompiled(c.artefact); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}
