// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestEntry(t *testing.T) {
	const (
		notFound = ": not found"
		others   = `(func (export "run")) (func (export "code") (result i32) i32.const 3) (func (export "add") (param i32 i32) (result i32) i32.const 0)
			(func (export "long") (result i64) i64.const 0) (func (export "two") (result i32 i32) i32.const 0 i32.const 0) (memory (export "memory") 1)`
		list = `it can begin with "run", "code"`
		want = `an entrypoint has no parameters and at most one result, an i32, which is the exit code; `
	)
	e, compiled := newEngine(t, testConfig(t))
	for desc, tc := range map[string]struct {
		text, name string
		initialize bool
		err        string
	}{
		"command":                   {command(``), "_start", false, ""},
		"another function":          {command(others), "run", false, ""},
		"exit code":                 {command(others), "code", false, ""},
		"command of several":        {command(others), "_start", false, ""},
		"none":                      {command(``), "run", false, `exports no function "run"; it can begin with "_start"` + notFound},
		"not there":                 {`(module ` + others + `)`, "ru", false, `exports no function "ru"; ` + list + notFound},
		"not a command":             {`(module ` + others + `)`, "_start", false, `exports no function "_start": build it as a program with a main function, for wasm32-wasip1; or name one of its functions after a #: "run", "code"` + notFound},
		"no name":                   {`(module ` + others + `)`, "", false, `exports no function ""; ` + list + notFound},
		"no function":               {`(module ` + others + `)`, "memory", false, `exports no function "memory"; ` + list + notFound},
		"parameters":                {`(module ` + others + `)`, "add", false, `exports function "add" with 2 parameters and 1 results, and ` + want + list + invalid},
		"another result":            {`(module ` + others + `)`, "long", false, `exports function "long" with 0 parameters and 1 results, and ` + want + list + invalid},
		"two results":               {`(module ` + others + `)`, "two", false, `exports function "two" with 0 parameters and 2 results, and ` + want + list + invalid},
		"reactor":                   {`(module (func (export "_initialize"))` + others + `)`, "run", true, ""},
		"reactor as a command":      {`(module (func (export "_initialize")) (func (export "run")))`, "_start", false, `exports "_initialize" and no "_start": it is a reactor (a library); build it as a command, without -mexec-model=reactor, -buildmode=c-shared or crate-type cdylib; or name one of its functions after a #: "run"` + notFound},
		"initializer":               {`(module (func (export "_initialize"))` + others + `)`, "_initialize", false, ""},
		"command with initializer":  {command(`(func (export "_initialize"))`), "_start", false, ""},
		"initializer with a type":   {command(`(func (export "_initialize") (param i32)) (func (export "run"))`), "run", false, `exports function "_initialize" with 1 parameters and 0 results: it is to have none` + invalid},
		"initializer nobody needs":  {command(`(func (export "_initialize") (param i32))`), "_start", false, ""},
		"function of the host":      {`(module (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32))) (export "yield" (func $y)) (func (export "run")))`, "yield", false, `exports function "yield", which is one of the host's; it can begin with "run"` + invalid},
		"start function":            {`(module (func $s) (start $s) (func (export "run")))`, "containerd-wasm.start", false, `exports no function "containerd-wasm.start"; it can begin with "run"` + notFound},
		"a name as of an interface": {`(module (func (export "wasi:cli/run@0.2.0#run") (result i32) i32.const 0))`, "wasi:cli/run@0.2.0#run", false, ""},
	} {
		t.Run(desc, func(t *testing.T) {
			m, err := e.LoadBytes(t.Context(), "app.wasm", wat(t, tc.text))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Release()
			expectEntry(t, m, tc.name, tc.initialize, tc.err)
		})
	}
	if n := compiled.Load(); n != 11 {
		t.Errorf("%d compilations of 11 modules", n)
	}
}

func expectEntry(t *testing.T, m *Module, name string, initialize bool, want string) {
	t.Helper()
	got, err := m.Entry(name)
	if text := fmt.Sprint(err); got != initialize || (err != nil) != (want != "") || err != nil && text != want {
		t.Errorf("%q: got %v, %v\nwant %v, %v", name, got, err, initialize, want)
	}
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsInvalidArgument(err) {
		t.Errorf("%q: the class of %v", name, err)
	}
}

// What hostile modules export does not fill an error, nor the daemon's memory.
func TestEntryOfManyFunctions(t *testing.T) {
	e, _ := newEngine(t, testConfig(t))
	text := `(module (func $f)`
	for i := range maxKept + 10 {
		text += fmt.Sprintf(`(export "f%d" (func $f))`, i)
	}
	m, err := e.LoadBytes(t.Context(), "many.wasm", wat(t, text+`(export "_start" (func $f)))`))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	expectEntry(t, m, "_start", false, "")
	expectEntry(t, m, "f4095", false, "")
	expectEntry(t, m, "f4096", false, `exports 4107 functions, and no "f4096" among the 4097 that are looked at: not found`)
	if n := len(m.shared.functions.kept); n != maxKept+1 {
		t.Errorf("%d functions are kept", n)
	}

	long := strings.Repeat("x", maxKeptBytes/4)
	text = `(module (func $f)`
	for i := range 11 {
		text += fmt.Sprintf(`(export "%d%s" (func $f))`, i, long[:200])
	}
	for i := range 4 {
		text += fmt.Sprintf(`(export "%d%s" (func $f))`, i, long)
	}
	m, err = e.LoadBytes(t.Context(), "long.wasm", wat(t, text+`)`))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	if m.shared.functions.more != 1 {
		t.Errorf("%d long names are not kept", m.shared.functions.more)
	}
	for _, name := range []string{"_start", "none", strings.Repeat("n", 1<<20)} {
		if _, err := m.Entry(name); err == nil || len(err.Error()) > 1200 {
			t.Errorf("an error of %d bytes", len(fmt.Sprint(err)))
		}
	}
}
