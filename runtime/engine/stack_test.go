// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// prepareGuests is for guests of this process. The keep-alive module is never released.
var prepareGuests = sync.OnceValue(func() error {
	cfg := Config{Root: filepath.Join(os.TempDir(), fmt.Sprintf("engine-test-%d", os.Getpid())),
		CompileTimeout: 10e9, CompileMemory: 2 << 30, MaxModuleSize: 1 << 20, MaxFunctions: 100, MaxTableEntries: 100, MaxSegments: 100}
	defer os.RemoveAll(cfg.Root)
	e, err := New(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	m, err := e.LoadBytes(context.Background(), "keepalive", jail.Keepalive, WithImport("env", "block"))
	if err != nil {
		return err
	}
	return jail.Init(m.AST(), "")
})

// runToTrap runs a guest of a module, and returns what is on its stderr.
func runToTrap(t *testing.T, m *Module) string {
	t.Helper()
	if err := prepareGuests(); err != nil {
		t.Fatal(err)
	}
	stderr := filepath.Join(t.TempDir(), "stderr")
	spec := &jail.Spec{
		Module: m.AST(), Entry: "_start", Args: []string{"guest"}, Rootfs: t.TempDir(), NewNetNS: true,
		UID: nobody, GID: nobody, StackSize: 1 << 20,
		Describe: func(trace jail.Trace) string { return m.Stack(trace.Frames, trace.More, trace.Cut) },
	}
	spec.Stdio[2] = jail.File{Path: stderr, Flags: os.O_WRONLY | os.O_CREATE | os.O_APPEND}
	g, err := jail.New(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	<-g.Done()
	b, err := os.ReadFile(stderr)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// trapping is a module in which $_start calls $outer, which calls $inner. What these do
// is the body of the latter.
func trapping(inner string) string {
	return `(module
		(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
		(type $nothing (func)) (type $number (func (param i32) (result i32)))
		(memory (export "memory") 1) (table 4 funcref) (elem (i32.const 0) $inner)
		(func $inner ` + inner + `)
		(func $outer (param i32) (result i32) call $inner local.get 0)
		(func $_start (export "_start") i32.const 0 call $outer drop))`
}

const calledThere = "  at inner (func 2)\n  at outer (func 3)\n  at _start (func 4)\n"

func TestStackOfTraps(t *testing.T) {
	for name, c := range map[string]struct{ module, want string }{
		"unreachable": {trapping(`unreachable`), "unreachable\n" + calledThere},
		"division":    {trapping(`(drop (i32.div_s (i32.const 1) (i32.load (i32.const 0))))`), "integer divide by zero\n" + calledThere},
		"memory":      {trapping(`(drop (i32.load (i32.sub (i32.load (i32.const 0)) (i32.const 8))))`), "out of bounds memory access\n" + calledThere},
		"memory.fill": {trapping(`(memory.fill (i32.const 65530) (i32.const 0) (i32.const 100)) (i32.store (i32.const 0) (i32.const 1))`), "out of bounds memory access\n" + calledThere},
		"wrong type":  {trapping(`(drop (call_indirect (type $number) (i32.const 0) (i32.load (i32.const 0))))`), "indirect call type mismatch\n" + calledThere},
		"no function": {trapping(`(call_indirect (type $nothing) (i32.add (i32.load (i32.const 0)) (i32.const 1)))`), "uninitialized element\n" + calledThere},
		"beyond":      {trapping(`(call_indirect (type $nothing) (i32.const 100))`), "undefined element\n" + calledThere},
		"in a host call": {trapping(`(drop (call $poll (i32.const 0) (i32.const 0) (i32.const 268435456) (i32.const 0)))`),
			"the engine could not carry out a host call\n" + calledThere},
		"start function": {`(module (func $init (param i32) unreachable) (func $start i32.const 1 call $init) (start $start) (func (export "_start")))`,
			"unreachable\n  at init (func 0)\n  at start (func 1)\n"},
		"no names": {`(module (func call 1) (func unreachable) (func (export "_start") call 0))`, "unreachable\n  at func 1\n  at func 0\n  at _start (func 2)\n"},
		"through a table": {`(module (type $f (func)) (table funcref (elem $called)) (func $called unreachable)
			(func $caller (call_indirect (type $f) (i32.const 0))) (func (export "_start") call $caller))`,
			"unreachable\n  at called (func 0)\n  at caller (func 1)\n  at _start (func 2)\n"},
		"41 calls": {`(module (func $count (param i32) (result i32) (i32.eqz (local.get 0)) if unreachable end
			(i32.rotl (call $count (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
			(func (export "_start") i32.const 40 call $count drop))`,
			"unreachable\n" + strings.Repeat("  at count (func 0)\n", 31) + "  ... 11 more\n"},
		"recursion": {`(module
			(func $even (param i32) (result i32) (i32.add (call $odd (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
			(func $odd (param i32) (result i32) (i32.mul (call $even (i32.add (local.get 0) (i32.const 1))) (i32.const 3)))
			(func (export "_start") i32.const 0 call $even drop))`, "call stack exhausted\n" + endless},
		"recursion and host calls": {trapping(`(drop (call $random (i32.const 0) (i32.const 8))) (drop (call 3 (i32.const 0)))`),
			"call stack exhausted\n" + endless},
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemStore()
			e, _ := newEngine(t, tieredConfig(t, store))
			f := open(t, file(t, "app.wasm", wat(t, c.module, "--debug-names")))
			m := load(t, e, f)
			defer m.Release()
			got := runToTrap(t, m)
			if !matches(got, "WebAssembly trap: "+c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			awaitOptimized(t, func() bool { return has(store, e.record(m.Digest(), rules{}, 2).Key) })
			fast := load(t, e, f)
			defer fast.Release()
			optimized := runToTrap(t, fast)
			if fast.Tier() != 2 || !isPart(strings.Split(optimized, "\n"), strings.Split(got, "\n")) {
				t.Errorf("tier %v: got\n%s\nof\n%s", fast.Tier(), optimized, got)
			}
		})
	}
}

// endless stands for what the stack of an endless recursion looks like.
const endless = "(endless)"

var endlessStack = regexp.MustCompile(`^(  at \w+ \(func \d\)\n){31,32}  \.\.\. at least \d{4} more\n$`)

func matches(got, want string) bool {
	start, isEndless := strings.CutSuffix(want, endless)
	stack, ok := strings.CutPrefix(got, start)
	return ok && (isEndless && endlessStack.MatchString(stack) || !isEndless && stack == "")
}

// isPart says whether what is in part is in all as well, in the same order, but for
// numbers of frames, and repeated ones. Optimized code has no frames of functions that
// were put into their callers, or that end with a call.
func isPart(part, all []string) bool {
	if len(part) < 3 { // the reason, a function, and nothing after the last line
		return false
	}
	for _, line := range part {
		if strings.HasPrefix(line, "  ...") {
			continue
		}
		i := slices.Index(all, line)
		if i < 0 { // among those that are left out?
			return slices.ContainsFunc(all, func(l string) bool { return strings.HasPrefix(l, "  ...") })
		}
		if !slices.Contains(all[i+1:], line) {
			all = all[i:]
		}
	}
	return true
}

// What a module says of itself goes to logs and terminals.
func TestStackText(t *testing.T) {
	long := strings.Repeat("n", 1000)
	for name, c := range map[string]struct {
		functions []uint32
		names     map[uint32]string
		more      int
		cut       bool
		want      string
	}{
		"nothing":     {want: ""},
		"names":       {[]uint32{3, 4}, map[uint32]string{3: "main.crash", 4: "std::vec<T>::at(int)"}, 0, false, "  at main.crash (func 3)\n  at std::vec<T>::at(int) (func 4)\n"},
		"more":        {[]uint32{3}, nil, 7, false, "  at func 3\n  ... 7 more\n"},
		"cut":         {[]uint32{3}, nil, 7, true, "  at func 3\n  ... at least 7 more\n"},
		"cut early":   {[]uint32{3}, nil, 0, true, "  at func 3\n  ... more\n"},
		"control":     {[]uint32{1}, map[uint32]string{1: "a\nWebAssembly trap: none\x1b[2J\u202e\x00"}, 0, false, "  at a\ufffdWebAssembly trap: none\ufffd[2J\ufffd\ufffd (func 1)\n"},
		"not UTF-8":   {[]uint32{1}, map[uint32]string{1: "\xff\xfe"}, 0, false, "  at \ufffd\ufffd (func 1)\n"},
		"long":        {[]uint32{1}, map[uint32]string{1: long}, 0, false, "  at " + long[:197] + "\u2026 (func 1)\n"},
		"many long":   {[]uint32{1, 1, 1, 1, 1, 1, 1, 1}, map[uint32]string{1: long}, 1, false, strings.Repeat("  at "+long[:197]+"\u2026 (func 1)\n", 6) + "  ... 3 more\n"},
		"empty names": {[]uint32{1}, map[uint32]string{1: ""}, 0, false, "  at func 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := stackText(c.functions, c.names, c.more, c.cut)
			if got != c.want || len(got) > maxStack || maxStack > jail.MaxDescription {
				t.Errorf("%d bytes, got\n%q\nwant\n%q", len(got), got, c.want)
			}
		})
	}
}

// A trap tells what it can when names cannot be read.
func TestStackWithoutNames(t *testing.T) {
	for name, spoil := range map[string]func(*memStore, Key){
		"damaged": func(s *memStore, k Key) { s.damage(t, k) },
		"gone":    func(s *memStore, k Key) { _ = s.Remove(t.Context(), k) },
		"shorter": func(s *memStore, k Key) { s.blobs[k] = s.blobs[k][:len(s.blobs[k])-1] },
	} {
		t.Run(name, func(t *testing.T) {
			cfg, store := testConfig(t), newMemStore()
			cfg.Store = store
			e, _ := newEngine(t, cfg)
			m := load(t, e, open(t, file(t, "app.wasm", wat(t, trapping(`unreachable`), "--debug-names"))))
			defer m.Release()
			spoil(store, m.shared.rec.Key)
			if got := runToTrap(t, m); got != "WebAssembly trap: unreachable\n  at func 2\n  at func 3\n  at func 4\n" {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// Names are what toolchains write.
func TestStackNamesOfToolchains(t *testing.T) {
	dir := t.TempDir()
	c, golang := filepath.Join(dir, "c.wasm"), filepath.Join(dir, "go.wasm")
	build(t, "clang", "--target=wasm32-wasi", "-O1", "-o", c, "testdata/trap.c")
	build(t, "go", "build", "-o", golang, "testdata/trap.go")
	for module, want := range map[string]string{
		c:      `^WebAssembly trap: unreachable\n  at crash \(func \d+\)\n  at main \(func \d+\)\n(  at \S+ \(func \d+\)\n)*  at _start \(func \d+\)\n`,
		golang: `^WebAssembly trap: out of bounds memory access\n  at main\.crash \(func \d+\)\n  at main\.main \(func \d+\)\n  at runtime\.main \(func \d+\)\n`,
	} {
		e, _ := newEngine(t, testConfig(t))
		m := load(t, e, open(t, module))
		defer m.Release()
		if got := runToTrap(t, m); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// Whatever a module calls its functions, what is told of them are lines of text, and few.
func FuzzStackText(f *testing.F) {
	f.Add("main\nmain.(*T).String", 3, false)
	f.Add("\x1b[2J\xff\u2028\n"+strings.Repeat("é", 300), 0, true)
	f.Add(strings.Repeat("name\n", 100), 1<<31, true)
	f.Fuzz(func(t *testing.T, all string, more int, cut bool) {
		if more < 0 || more > 1<<31 {
			t.Skip() // it is the number of frames of a stack
		}
		names, functions := map[uint32]string{}, []uint32{}
		for i, name := range strings.Split(all, "\n") {
			names[uint32(i)] = strings.ReplaceAll(name, "\t", "\n")
			functions = append(functions, uint32(i))
		}
		got := stackText(functions, names, more, cut)
		if len(got) > maxStack || !utf8.ValidString(got) {
			t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
		for line := range strings.Lines(got) {
			text, whole := strings.CutSuffix(line, "\n")
			if !whole || !strings.HasPrefix(text, "  at ") && !strings.HasPrefix(text, "  ... ") {
				t.Errorf("a line is %q", line)
			}
			for _, r := range text {
				if !strconv.IsPrint(r) && r != utf8.RuneError {
					t.Errorf("%q is not printable", r)
				}
			}
		}
		if s := clean(all, 40); len(s) > 40 || !utf8.ValidString(s) {
			t.Errorf("%q has %d bytes", s, len(s))
		}
	})
}
