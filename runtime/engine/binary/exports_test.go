// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"slices"
	"strings"
	"testing"
)

func exportedFunctions(module []byte) (all []Function, err error) {
	for f, err := range Functions(module) {
		if err != nil {
			return all, err
		}
		all = append(all, f)
	}
	return all, nil
}

func TestFunctions(t *testing.T) {
	for desc, tc := range map[string]struct {
		text string
		want []Function
	}{
		"nothing":                  {`(module)`, nil},
		"functions without export": {`(module (func))`, nil},
		"other kinds":              {`(module (memory (export "m") 1) (global (export "g") i32 (i32.const 1)) (table (export "t") 1 funcref))`, nil},
		"types": {`(module
			(func (export "none"))
			(func (export "i32") (result i32) i32.const 1)
			(func (export "i64") (result i64) i64.const 1)
			(func (export "two") (param f32 f64) (result i64 i32) i64.const 1 i32.const 1))`,
			[]Function{{Name: "none"}, {Name: "i32", Results: 1, I32: true}, {Name: "i64", Results: 1}, {Name: "two", Params: 2, Results: 2, I32: true}}},
		"an import": {`(module (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32))) (func $f) (export "y" (func $y)) (export "f" (func $f)))`,
			[]Function{{Name: "y", Results: 1, I32: true, Imported: true}, {Name: "f"}}},
		"names": {`(module (func $f) (export "" (func $f)) (export "a\00b" (func $f)) (export "a#b" (func $f)))`,
			[]Function{{Name: ""}, {Name: "a\x00b"}, {Name: "a#b"}}},
		"the start function is not the module's": {`(module (func $s) (start $s) (func (export "f")))`, []Function{{Name: "f"}}},
	} {
		module, err := Confine(assemble(t, tc.text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := exportedFunctions(module); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %+v, %v", desc, got, err)
		}
	}
}

func TestFunctionsThatAreMalformed(t *testing.T) {
	const types, functions = "\x01\x04\x01\x60\x00\x00", "\x03\x02\x01\x00"
	for desc, tc := range map[string]struct{ sections, want string }{
		"no function":       {types + "\x07\x05\x01\x01f\x00\x00", "one is a function that is not there"},
		"no type":           {functions + "\x07\x05\x01\x01f\x00\x00", "one is a function that is not there"},
		"another function":  {types + functions + "\x07\x05\x01\x01f\x00\x01", "one is a function that is not there"},
		"more than is said": {types + functions + "\x07\x01\x02", "more bytes"},
		"a cut name":        {types + functions + "\x07\x03\x01\x09f", "more bytes"},
		"a type":            {"\x01\x03\x01\x5f\x00" + functions + "\x07\x05\x01\x01f\x00\x00", "in section 1, a kind"},
		"an import":         {types + "\x02\x07\x01\x01a\x01b\x02\x01" + functions + "\x07\x05\x01\x01f\x00\x00", "imports something that is no function"},
		"framing":           {"\x07\x10\x01", "is malformed or truncated: section 7"},
	} {
		if _, err := exportedFunctions([]byte(header + tc.sections)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", desc, err, tc.want)
		}
	}
}
