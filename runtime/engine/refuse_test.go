// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

const invalid = ": invalid argument"

// command wraps text into a module that is a command.
func command(text string) string { return `(module ` + text + ` (func (export "_start")))` }

func TestRefusals(t *testing.T) {
	e, _ := newEngine(t, testConfig(t))
	header := "\x00asm\x01\x00\x00\x00"
	for name, c := range map[string]struct{ bytes, want string }{
		"empty":     {"", "is empty"},
		"short":     {"\x00as", "is truncated: it has 3 bytes, and a module's header alone takes 8"},
		"headless":  {header[:6], "is truncated: it has 6 bytes, and a module's header alone takes 8"},
		"component": {"\x00asm\x0d\x00\x01\x00", "is a WebAssembly component, not a core module: components (WASI 0.2) are not supported; build for wasm32-wasip1"},
		"version":   {"\x00asm\x02\x00\x00\x00", "has WebAssembly version 2: only version 1 is supported"},
		"elf":       {"\x7fELF\x02\x01\x01", "is an ELF file (native code), not a WebAssembly module: build it for wasm32-wasip1"},
		"macho":     {"\xcf\xfa\xed\xfe\x07", "is a Mach-O file (native code), not a WebAssembly module: build it for wasm32-wasip1"},
		"pe":        {"MZ\x90", "is a Windows executable (native code), not a WebAssembly module: build it for wasm32-wasip1"},
		"text":      {"\n  (module)", "is WebAssembly text, not a binary module: convert it, for example with wat2wasm"},
		"script":    {"#!/bin/sh\n", "is a script (#!), not a WebAssembly module: no shell or interpreter runs it; name the module itself as the entrypoint"},
		"other":     {"hello world", "is not a WebAssembly module: it starts with 68 65 6c 6c, where a module has 00 61 73 6d"},
		"cut":       {header + "\x01\x10\x01", "is malformed or truncated: section 1 at offset 8 has a bad size: more bytes are needed than are left"},
		"long int":  {header + "\x01\xff\xff\xff\xff\xff\x01", "is malformed or truncated: section 1 at offset 8 has a bad size: an integer is too long"},
		"bad name":  {header + "\x00\x02\x05a", "is malformed or truncated: section 0 at offset 8 has a bad name: more bytes are needed than are left"},
		"bad id":    {header + "\x2a\x00", "is not a valid WebAssembly module: "},
		"no start":  {header, `exports no function "_start": build it as a program with a main function, for wasm32-wasip1`},
	} {
		t.Run(name, func(t *testing.T) { expectRefusal(t, e, []byte(c.bytes), c.want) })
	}
}

func TestRefusedModules(t *testing.T) {
	e, _ := newEngine(t, testConfig(t))
	for name, c := range map[string]struct{ text, want string }{
		"env": {command(`(import "env" "foo" (func))`),
			`imports function "env"."foo", which the host does not provide: link it in; if Emscripten built the module, use -sSTANDALONE_WASM or wasi-sdk`},
		"block is not for guests": {command(`(import "env" "block" (func))`),
			`imports function "env"."block", which the host does not provide: `},
		"old wasi": {command(`(import "wasi_unstable" "fd_write" (func))`),
			`imports function "wasi_unstable"."fd_write", which the host does not provide: that is the ABI before WASI preview 1; rebuild it for wasm32-wasip1 with a current toolchain`},
		"wasip2": {command(`(import "wasi:cli/environment@0.2.0" "get-environment" (func))`),
			`imports function "wasi:cli/environment@0.2.0"."get-environment", which the host does not provide: that is WASI 0.2, of components; build it for wasm32-wasip1`},
		"go": {command(`(import "gojs" "runtime.wasmExit" (func))`),
			`imports function "gojs"."runtime.wasmExit", which the host does not provide: that is Go for browsers; build it with GOOS=wasip1`},
		"bindgen": {command(`(import "__wbindgen_placeholder__" "f" (func))`),
			`imports function "__wbindgen_placeholder__"."f", which the host does not provide: that is wasm-bindgen, for browsers; build it for wasm32-wasip1`},
		"nn": {command(`(import "wasi_ephemeral_nn" "load" (func))`),
			`imports function "wasi_ephemeral_nn"."load", which the host does not provide: that is an extension of some WebAssembly runtimes; build it without`},
		"wasi threads": {command(`(import "wasi" "thread-spawn" (func))`),
			`imports function "wasi"."thread-spawn", which the host does not provide: threads are not supported; build it for wasm32-wasip1, not wasm32-wasip1-threads`},
		"unknown wasi": {command(`(import "wasi_snapshot_preview1" "fd_wrote" (func))`),
			`imports function "wasi_snapshot_preview1"."fd_wrote", which the host does not provide: it is not part of WASI preview 1`},
		"anything": {command(`(import "lib" "f" (func))`),
			`imports function "lib"."f", which the host does not provide: link it in, or build it for wasm32-wasip1`},
		"hostile name": {command(`(import "\1b[2J" "` + strings.Repeat("x", 5000) + `" (func))`),
			`imports function "\x1b[2J"."` + strings.Repeat("x", 100) + `…", which the host does not provide: `},
		"memory": {command(`(import "env" "memory" (memory 1))`),
			`imports memory "env"."memory", and the host provides functions only: define it in the module`},
		"table": {command(`(import "env" "t" (table 1 funcref))`),
			`imports table "env"."t", and the host provides functions only: define it in the module`},
		"global": {command(`(import "env" "g" (global i32))`),
			`imports global "env"."g", and the host provides functions only: define it in the module`},
		"signature arity": {command(`(import "wasi_snapshot_preview1" "fd_write" (func (param i32) (result i32)))`),
			`imports function "wasi_snapshot_preview1"."fd_write" with another signature than the host's: rebuild it for wasm32-wasip1 with a current toolchain`},
		"signature types": {command(`(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i64) (result i32)))`),
			`imports function "wasi_snapshot_preview1"."fd_write" with another signature than the host's: rebuild it for wasm32-wasip1 with a current toolchain`},
		"second signature": {command(`(import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (import "wasi_snapshot_preview1" "proc_exit" (func (param i64)))`),
			`imports function "wasi_snapshot_preview1"."proc_exit" with another signature than the host's: `},
		"socket signature": {command(`(import "wasi_snapshot_preview1" "sock_open" (func))`),
			`imports function "wasi_snapshot_preview1"."sock_open_v2" with another signature than the host's: `},
		"reactor": {`(module (func (export "_initialize")))`,
			`exports "_initialize" and no "_start": it is a reactor (a library); build it as a command, without -mexec-model=reactor, -buildmode=c-shared or crate-type cdylib`},
		"start is a memory": {`(module (memory (export "_start") 1))`, `exports no function "_start": build it as a program with a main function, for wasm32-wasip1`},
		"start has a type": {`(module (func (export "_start") (param i32) (result i64) i64.const 0))`,
			`exports function "_start" with 1 parameters and 1 results: it is to have none`},
		"start has a result": {`(module (func (export "_start") (result i32) i32.const 0) (func (export "f")))`,
			`exports function "_start" with 0 parameters and 1 results: it is to have none`},
		"initializer has a type": {`(module (func (export "_initialize") (param i32)) (func (export "f")))`,
			`exports function "_initialize" with 1 parameters and 0 results: it is to have none`},
		"nothing to begin with": {`(module (func (export "add") (param i32 i32) (result i32) i32.const 0) (func (export "f") (result f64) f64.const 0))`,
			`exports no function "_start": build it as a program with a main function, for wasm32-wasip1`},
		"type error": {`(module (func (export "_start") i32.add drop))`, `is not a valid WebAssembly module: `},
		"exceptions": {command(`(tag $e) (func throw $e)`),
			`uses exception handling, which is not supported: build it without -fwasm-exceptions, or with panic=abort`},
		"tail call": {command(`(func $f return_call $f)`), `uses tail calls, which is not supported: build it without -mtail-call`},
		"shared":    {command(`(memory 1 1 shared)`), `uses threads, which is not supported: build it for wasm32-wasip1, not wasm32-wasip1-threads`},
		"memory64":  {command(`(memory i64 1)`), `is not a valid WebAssembly module: `},
		"memories":  {command(`(memory 1) (memory 1)`), `uses multiple memories, which is not supported: build it with one memory`},
		"threads":   {command(`(memory 1 1 shared) (func i32.const 0 i32.atomic.load drop)`), `uses threads, which is not supported: build it for wasm32-wasip1, not wasm32-wasip1-threads`},
	} {
		t.Run(name, func(t *testing.T) {
			expectRefusal(t, e, wat(t, c.text, "--enable-all", "--no-check"), c.want)
		})
	}
}

// expectRefusal loads b and wants ErrInvalidArgument with a text that starts
// with want and, if want is a whole sentence, ends there.
func expectRefusal(t *testing.T, e *Engine, b []byte, want string) {
	t.Helper()
	m, err := e.LoadBytes(t.Context(), "app.wasm", b)
	if err == nil {
		m.Release()
		t.Fatal("was accepted")
	}
	want = `module "app.wasm" ` + want
	if !strings.HasSuffix(want, ": ") {
		want += invalid
	}
	if !errdefs.IsInvalidArgument(err) || !strings.HasPrefix(err.Error(), want) ||
		!strings.HasSuffix(want, ": ") && err.Error() != want {
		t.Errorf("got  %v\nwant %v", err, want)
	}
}

func TestAcceptedModules(t *testing.T) {
	e, _ := newEngine(t, testConfig(t))
	for name, text := range map[string]string{
		"all of the types": command(`(type (func (param i32 i64 f32 f64 v128 funcref externref) (result i32 i32))) (func (type 0) i32.const 1 i32.const 2)`),
		"imports":          command(`(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))) (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))`),
		"bulk memory":      command(`(memory 1) (data "x") (func i32.const 0 i32.const 0 i32.const 1 memory.init 0)`),
		"saturating":       command(`(func (param f32) (result i32) local.get 0 i32.trunc_sat_f32_s)`),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := e.LoadBytes(t.Context(), name, wat(t, text))
			if err != nil {
				t.Fatal(err)
			}
			m.Release()
		})
	}
}

func TestOptionsHoldForTheirCallerOnly(t *testing.T) {
	e, compiled := newEngine(t, testConfig(t))
	b := wat(t, `(module (import "env" "block" (func $b)) (func (export "go") call $b))`)
	m, err := e.LoadBytes(t.Context(), "keepalive", b, WithImport("env", "block"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	for _, opts := range [][]Option{nil, {WithImport("env", "other")}} {
		if _, err := e.LoadBytes(t.Context(), "guest", b, opts...); !errdefs.IsInvalidArgument(err) {
			t.Errorf("with %d options: %v", len(opts), err)
		}
	}
	if n := compiled.Load(); n != 3 {
		t.Errorf("%d compilations, want 3", n)
	}
}

func TestRefusalIsRemembered(t *testing.T) {
	e, compiled := newEngine(t, testConfig(t))
	b := wat(t, command(`(import "env" "foo" (func))`))
	for _, name := range []string{"a.wasm", "b.wasm"} {
		_, err := e.LoadBytes(t.Context(), name, b)
		if !errdefs.IsInvalidArgument(err) || !strings.HasPrefix(err.Error(), `module "`+name+`" imports`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := compiled.Load(); n != 1 {
		t.Errorf("%d compilations, want 1", n)
	}
	e.refused.lifetime = 1
	if _, err := e.LoadBytes(t.Context(), "c.wasm", b); !errdefs.IsInvalidArgument(err) {
		t.Error(err)
	}
	if n := compiled.Load(); n != 2 {
		t.Errorf("%d compilations after the refusal was forgotten, want 2", n)
	}
}

// Native code that comes with an image must not be loaded, nor seen by the
// compiler: here the image's "native code" is an artefact of ours.
func TestImageSuppliedCodeIsIgnored(t *testing.T) {
	cfg := testConfig(t)
	e, _ := newEngine(t, cfg)
	plain := tiny(t)
	m, err := e.LoadBytes(t.Context(), "plain.wasm", plain)
	if err != nil {
		t.Fatal(err)
	}
	a, err := e.openArtefact(t.Context(), e.own, m.shared.rec.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	m.Release()
	section := a.code()[len(plain):]
	if section[0] != binary.SectionCustom || !bytes.Contains(section[:16], []byte(binary.CompiledSection)) {
		t.Fatal("the artefact is not a module and its code")
	}
	for name, shipped := range map[string][]byte{
		"last":  slices.Concat(plain, section),
		"first": slices.Concat(plain[:binary.HeaderSize], section, plain[binary.HeaderSize:]),
		"twice": slices.Concat(plain[:binary.HeaderSize], section, plain[binary.HeaderSize:], section),
		// A section size with redundant zeros, which WasmEdge reads alike.
		"padded":    slices.Concat(plain, []byte("\x00\x8a\x80\x80\x80\x00\x08wasmedge\x01")),
		"malformed": slices.Concat(plain, []byte("\x00\x09\x08wasmedge")),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := e.LoadBytes(t.Context(), "app.wasm", shipped)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Release()
			b, err := e.openArtefact(t.Context(), e.own, m.shared.rec.Key)
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			if m.shared.rec == e.record(digest.FromBytes(plain), rules{}, Tier0) {
				t.Error("one key for two modules")
			}
			if !bytes.HasPrefix(b.code(), plain) {
				t.Error("the section was not cut off")
			}
		})
	}
}
