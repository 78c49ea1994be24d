// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/second-state/WasmEdge-go/wasmedge"
)

// hostArgs are for calls that do something; all others get zeros. At 16 there is ".", at 20
// "new", at 32 a list of one buffer of 64 bytes, at 48 an address, at 64 a subscription.
var hostArgs = map[string][]int{
	"args_get":              {1024, 2048},
	"args_sizes_get":        {1024, 1028},
	"environ_get":           {1024, 2048},
	"environ_sizes_get":     {1024, 1028},
	"clock_time_get":        {1, 0, 1024},
	"fd_fdstat_get":         {3, 1024},
	"fd_filestat_get":       {3, 1024},
	"fd_prestat_get":        {3, 1024},
	"fd_prestat_dir_name":   {3, 1024, 1},
	"fd_read":               {0, 32, 1, 1024},
	"fd_write":              {1, 32, 1, 1024},
	"fd_readdir":            {3, 1024, 64, 0, 1088},
	"path_create_directory": {3, 20, 3},
	"path_filestat_get":     {3, 1, 16, 1, 1024},
	"path_link":             {3, 1, 16, 1, 3, 20, 3},
	"path_open":             {3, 1, 16, 1, 2, 0x4000, 0, 0, 1024},
	"path_readlink":         {3, 16, 1, 1024, 64, 1088},
	"path_remove_directory": {3, 20, 3},
	"path_rename":           {3, 16, 1, 3, 20, 3},
	"path_symlink":          {16, 1, 3, 20, 3},
	"path_unlink_file":      {3, 20, 3},
	"poll_oneoff":           {64, 1024, 1, 1088},
	"random_get":            {1024, 4096},
	"sock_open":             {1, 2, 1024},
	"sock_open_v2":          {1, 2, 1024},
	"sock_getaddrinfo":      {16, 1, 16, 1, 1024, 2048, 8, 1028},
}

// hostLongs are the parameters with 64 bits (WasmEdge-go's GetParameters panics).
var hostLongs = map[string][]int{
	"clock_time_get":          {1},
	"fd_advise":               {1, 2},
	"fd_allocate":             {1, 2},
	"fd_fdstat_set_rights":    {1, 2},
	"fd_filestat_set_size":    {1},
	"fd_filestat_set_times":   {1, 2},
	"fd_pread":                {3},
	"fd_pwrite":               {3},
	"fd_readdir":              {3},
	"fd_seek":                 {1},
	"path_filestat_set_times": {4, 5},
	"path_open":               {5, 6},
}

// hostCalls is a module with a function for each of WASI's, of the same name: it calls that
// at a depth of calls that its arguments say, one for each byte of them.
func hostCalls(t *testing.T) (module *wasmedge.AST, names []string) {
	t.Helper()
	wasi := wasmedge.NewWasiModule(nil, nil, nil)
	defer wasi.Release()
	names = wasi.ListFunction()
	slices.Sort(names)
	var imports, calls, entries, table strings.Builder
	for i, name := range names {
		f := wasi.FindFunction(name).GetFunctionType()
		fmt.Fprintf(&imports, "(import \"wasi_snapshot_preview1\" %q (func $%s", name, name)
		fmt.Fprintf(&calls, "(func $call_%s (call $%s", name, name)
		for k := range int(f.GetParametersLength()) {
			valType, arg := "i32", 0
			if slices.Contains(hostLongs[name], k) {
				valType = "i64"
			}
			if args := hostArgs[name]; args != nil {
				arg = args[k]
			}
			fmt.Fprintf(&imports, " (param %s)", valType)
			fmt.Fprintf(&calls, " (%s.const %d)", valType, arg)
		}
		calls.WriteString(")")
		if f.GetReturnsLength() > 0 {
			imports.WriteString(" (result i32)")
			calls.WriteString(" drop")
		}
		imports.WriteString("))\n")
		calls.WriteString(")\n")
		fmt.Fprintf(&entries, "(func (export %q) (call $begin (i32.const %d)))\n", name, i+1)
		fmt.Fprintf(&table, " $call_%s", name)
	}
	wat := "(module " + imports.String() + `
		(memory (export "memory") 1)
		(data (i32.const 16) ".\00\00\00new\00")
		(data (i32.const 32) "\00\04\00\00\40\00\00\00")
		(data (i32.const 48) "\38\00\00\00\04\00\00\00\7f\00\00\01")
		(data (i32.const 80) "\01")
		(type $v (func))
		(table funcref (elem $nothing` + table.String() + `))
		(func $nothing)
		(func $down (param i32 i32) (result i32)
			(if (i32.eqz (local.get 0)) (then (call_indirect (type $v) (local.get 1)) (return (i32.const 1))))
			(i32.rotl (call $down (i32.sub (local.get 0) (i32.const 1)) (local.get 1)) (local.get 0)))
		(func $begin (param i32)
			(drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
			(drop (call $down (i32.load (i32.const 4)) (local.get 0))))
		(func (export "_start") (call $begin (i32.const 0)))
		` + calls.String() + entries.String() + ")"
	dir := t.TempDir()
	path := filepath.Join(dir, "calls.wat")
	if err := os.WriteFile(path, []byte(wat), 0o600); err != nil {
		t.Fatal(err)
	}
	wasm := filepath.Join(dir, "calls.wasm")
	if out, err := exec.Command("wat2wasm", path, "-o", wasm).CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm: %v: %s", err, out)
	}
	module, err := loadFile(dir, wasm)
	if err != nil {
		t.Fatal(err)
	}
	return module, names
}

// Whatever host call a guest makes at the end of its stack, the reserve is enough for it.
func TestHostCallsAtTheEndOfTheStack(t *testing.T) {
	s := spec(t, "hello")
	var names []string
	s.Module, names = hostCalls(t)
	if missing := slices.DeleteFunc(slices.Collect(maps.Keys(hostArgs)), func(n string) bool { return slices.Contains(names, n) }); len(missing) > 0 {
		t.Errorf("there are no functions %q", missing)
	}
	s.StackSize = 256 << 10
	at := func(depth int, entry string) Result {
		s.Args, s.Entry = []string{strings.Repeat("x", depth)}, entry
		return runGuest(t, s)
	}
	// The guest's own calls end at a depth of ends.
	low, ends := 1, 64<<10
	for low+1 < ends {
		if middle := (low + ends) / 2; at(middle, "_start").Ending == Exited {
			low = middle
		} else {
			ends = middle
		}
	}
	t.Logf("%d functions of the host's, at a depth of %d", len(names), ends)
	for _, name := range names {
		over := 0
		for _, before := range []int{1, 2, 4, 8, 16} {
			got := at(ends-before, name)
			if got.Ending != Overflowed && got.Ending != Exited {
				t.Errorf("%s: ended with %+v", name, got)
			}
			if got.Ending == Overflowed {
				over++
			}
		}
		if over == 0 && name != "proc_exit" {
			t.Errorf("%s did not come to the end of the stack", name)
		}
	}
}
