// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"os"
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	text, err := os.ReadFile("testdata/everything.wat")
	if err != nil {
		t.Fatal(err)
	}
	want := Counts{
		Types: 4, TypeValues: 11, Imports: 2, Functions: 2,
		Tables: 2, TableMin: 5, TableMax: 9 + noMaximum, Memories: 1, MemoryMin: 1, MemoryMax: 70,
		Globals: 7, Exports: 3, ExportNames: uint64(len("memory" + "g" + "_start")),
		ElementSegments: 6, Elements: 8, DataSegments: 3, DataBytes: uint64(len("data" + "passive" + "x")),
		CodeBytes: 0x30,
	}
	module := assemble(t, string(text))
	if got, err := Count(module); err != nil || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	confined, err := Confine(module)
	if err != nil {
		t.Fatal(err)
	}
	want.TableMax = 9 + 2 + maxTableGrowth
	want.Exports, want.ExportNames = want.Exports+1, want.ExportNames+uint64(len(StartExport))
	if got, err := Count(confined); err != nil || got != want {
		t.Errorf("confined: got  %+v, %v\nwant %+v", got, err, want)
	}
	compiled := artefact(1, 1)
	if got, err := Count(compiled); err != nil || got.CompiledBytes != uint64(len(compiled)-len(header)-2-1-len(CompiledSection)-10) {
		t.Errorf("an artefact of %d bytes: %+v, %v", len(compiled), got, err)
	}
}

func TestCountRefuses(t *testing.T) {
	for desc, tc := range map[string]struct{ section, want string }{
		"a type that is no function": {"\x01\x03\x01\x5f\x00", "section 1, a kind"},
		"a recursive type":           {"\x01\x06\x01\x4e\x01\x60\x00\x00", "section 1, a kind"},
		"more types than bytes":      {"\x01\x01\x02", "section 1, more bytes"},
		"a shared memory":            {"\x05\x04\x01\x03\x01\x01", "uses threads, which is not supported: "},
		"a memory that shrinks":      {"\x05\x04\x01\x01\x02\x01", "section 5, a maximum is below its minimum"},
		"an extended constant":       {"\x0b\x0a\x01\x00\x41\x01\x41\x01\x6a\x0b\x00\x00", "section 11, a kind"},
		"a vector that is none":      {"\x0b\x07\x01\x00\xfd\x0d\x0b\x00\x00", "section 11, a kind"},
		"a kind of data":             {"\x0b\x02\x01\x03", "section 11, a kind"},
		"a kind of elements":         {"\x09\x02\x01\x08", "section 9, a kind"},
		"a long integer":             {"\x0b\x09\x01\x00\x41\xff\xff\xff\xff\xff\x01", "section 11, an integer is too long"},
		"bytes at the end":           {"\x0b\x02\x00\x00", "section 11, there are bytes after the last one"},
	} {
		if _, err := Count([]byte(header + tc.section)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", desc, err, tc.want)
		}
	}
}
