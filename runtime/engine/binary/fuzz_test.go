// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"bytes"
	"testing"
)

// addSeeds adds modules, good and bad, to a fuzz target. Each target has one
// more in testdata/fuzz, with something of everything that a module can have.
func addSeeds(f *testing.F) {
	for _, s := range []string{
		"", "\x00asm", header, header + "\x00", header + "\x00\x00", header + "\x00\x01\x00",
		header + "\x00\x09\x08wasmedge", header + "\x00\x8a\x80\x80\x80\x00\x08wasmedge\x01",
		header + "\x01\x04\x01\x60\x00\x00\x02\x0b\x01\x03env\x03foo\x00\x00",
		header + "\x01\x04\x01\x60\x00\x00\x00\x09\x08wasmedge\x03\x02\x01\x00\x00\x0a\x08wasmedge!",
		header + "\x02\xff\xff\xff\xff\x7f", header + "\x02\x04\x01\x00\x00\x02",
		header + "\x04\x04\x01\x70\x00\x01", header + "\x04\x09\x01\x70\x01\x01\xff\xff\xff\xff\x0f",
		header + "\x07\x01\x00\x08\x01\x00", header + "\x09\x05\x01\x05\x70\x80\x80", header + "\x0b\x05\x01\x02\x00\x41\x00",
		string(code([]byte{0, 0x0b})), string(code([]byte{1, 2, 0x63, 0x80, 0x01, 0x0b})),
		string(artefact(1, 1, [3]uint64{2, 0, 100}, [3]uint64{segmentText, 4096, 100})),
	} {
		f.Add([]byte(s))
	}
}

func FuzzClassify(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, head []byte) {
		if good := bytes.HasPrefix(head, []byte(header)); good != (Classify(head) == nil) {
			t.Errorf("%x: %v", head, Classify(head))
		}
	})
}

// The sections are the module, whole and in order.
func FuzzSections(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, module []byte) {
		joined := bytes.Clone(module[:min(len(module), HeaderSize)])
		var failed error
		for s, err := range Sections(module) {
			if failed = err; err == nil {
				joined = append(joined, s.Raw...)
			}
		}
		if !bytes.HasPrefix(module, joined) || failed == nil && len(joined) != len(module) {
			t.Errorf("sections %x of %x", joined, module)
		}
	})
}

// The probe of an import imports that and nothing else.
func FuzzImports(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, module []byte) {
		for _, err := range Sections(module) {
			if err != nil {
				return // such a module does not get as far
			}
		}
		for imp, err := range Imports(module) {
			if err != nil {
				return
			}
			probe, err := Probe(module, imp)
			if err != nil {
				t.Fatal(err)
			}
			for got, err := range Imports(probe) {
				if err != nil || got != imp {
					t.Errorf("probe of %v imports %v, %v", imp, got, err)
				}
			}
		}
	})
}

// What is confined is a module again, without what Confine takes away, hardly
// longer, and stays as it is when it is confined again.
func FuzzConfine(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, module []byte) {
		before := bytes.Clone(module)
		out, err := Confine(module)
		if !bytes.Equal(module, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		if len(out) > 2*len(module)+64 {
			t.Errorf("%d bytes became %d", len(module), len(out))
		}
		for s, err := range Sections(out) {
			if err != nil || s.ID == SectionCustom || s.ID == sectionStart {
				t.Errorf("section %d, %v", s.ID, err)
			}
		}
		if again, err := Confine(out); err != nil || !bytes.Equal(again, out) {
			t.Errorf("%q became %q, and then %q, %v", module, out, again, err)
		}
		if c, err := Count(out); err == nil && c.TableMax > c.Tables*maxTableEntries {
			t.Errorf("%d tables of %d entries", c.Tables, c.TableMax)
		}
	})
}

func FuzzCheckFunctions(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, module []byte) {
		if c, err := Count(module); CheckFunctions(module) == nil && err == nil && c.CodeBytes > uint64(len(module)) {
			t.Errorf("%d bytes of functions in %d", c.CodeBytes, len(module))
		}
	})
}

// Nothing is counted that the module has no byte for.
func FuzzCount(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, module []byte) {
		c, err := Count(module)
		if err != nil && c != (Counts{}) {
			t.Errorf("counts beside %v", err)
		}
		if sum := c.Types + c.TypeValues + c.Imports + c.Functions + c.Tables + c.Memories + c.Globals +
			c.Exports + c.ExportNames + c.ElementSegments + c.Elements + c.DataSegments + c.DataBytes +
			c.CodeBytes + c.CompiledBytes; sum > uint64(len(module)) {
			t.Errorf("%d bytes have %+v", len(module), c)
		}
		if c.TableMin > c.TableMax || c.MemoryMin > c.MemoryMax {
			t.Errorf("%+v", c)
		}
	})
}

// What is exported is in the module, and no more than is counted.
func FuzzFunctions(f *testing.F) {
	addSeeds(f)
	f.Add([]byte(header + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x05\x01\x01f\x00\x00"))
	f.Fuzz(func(t *testing.T, module []byte) {
		n := uint64(0)
		for e, err := range Functions(module) {
			if err != nil {
				return
			}
			if n++; !bytes.Contains(module, []byte(e.Name)) {
				t.Errorf("%q is not in the module", e.Name)
			}
		}
		if c, err := Count(module); err == nil && n > c.Exports {
			t.Errorf("%d functions of %d exports", n, c.Exports)
		}
	})
}

// An artefact that is accepted ends in its code.
func FuzzCheckCompiled(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, module []byte) {
		if _, err := CheckCompiled(module); err != nil {
			return
		}
		var last Section
		for s, err := range Sections(module) {
			if last = s; err != nil {
				t.Fatal(err)
			}
		}
		if last.Name != CompiledSection || !bytes.HasSuffix(module, last.Content) {
			t.Errorf("accepted %x", module)
		}
	})
}
