// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// assemble makes a module of its text.
func assemble(t *testing.T, text string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "m.wat"), filepath.Join(dir, "m.wasm")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command("wat2wasm", in, "-o", out).CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm: %v: %s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func disassemble(t *testing.T, module []byte) string {
	t.Helper()
	in := filepath.Join(t.TempDir(), "m.wasm")
	if err := os.WriteFile(in, module, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("wasm2wat", in).CombinedOutput()
	if err != nil {
		t.Fatalf("wasm2wat: %v: %s", err, out)
	}
	return string(out)
}

// sockets imports a function with so many parameters, and two others.
func sockets(name string, params int) string {
	const from = `(import "wasi_snapshot_preview1" `
	return "(module (type (func)) " + from + `"random_get" (func (param i32 i32) (result i32)))` +
		from + `"sock_bind" (func (param i32 i32 i32) (result i32)))` +
		from + `"` + name + `" (func (param` + strings.Repeat(" i32", params) + `) (result i32))))`
}

func TestConfine(t *testing.T) {
	for _, tc := range []struct{ desc, in, want, gone string }{
		{"a start function and other exports", `(module (func $s) (func (export "_start")) (start $s) (memory 1))`, `(export "containerd-wasm.start" (func 0))`, "(start"},
		{"a start function and no export", `(module (func) (func $s) (start $s))`, `(export "containerd-wasm.start" (func 1))`, "(start"},
		{"no start function", `(module (func (export "_start")))`, `(export "_start" (func 0))`, "containerd-wasm"},
		{"a table without a maximum", `(module (table 3 funcref))`, `(table (;0;) 3 65539 funcref)`, ""},
		{"a large table without a maximum", `(module (table 999999 funcref))`, `(table (;0;) 999999 1000000 funcref)`, ""},
		{"a low maximum", `(module (table 3 5 externref))`, `(table (;0;) 3 5 externref)`, ""},
		{"sockets by earlier names", sockets("sock_getlocaladdr", 3), `"sock_bind_v2"`, `"sock_bind"`},
		{"and their other names", sockets("sock_getlocaladdr", 3), `"sock_getlocaladdr_v2"`, `"random_get_v2"`},
		{"sockets of the first version", sockets("sock_getlocaladdr", 4), `"sock_bind"`, "_v2"},
		{"Go's own", sockets("sock_accept", 3), `"sock_accept_v2"`, `"sock_bind_v2"`},
		{"Rust's own", sockets("sock_accept", 2), `"sock_accept"`, "_v2"},
		{"no socket function's parameters", sockets("sock_accept", 0), `"sock_accept_v2"`, `"sock_bind_v2"`},
		{"nor its types", strings.ReplaceAll(sockets("sock_listen", 2), "i32", "i64"), `"sock_listen_v2"`, `"sock_listen" `},
		{"nor its result", strings.ReplaceAll(sockets("sock_listen", 2), "(result i32)", ""), `"sock_listen_v2"`, `"sock_listen" `},
		{"another host's sockets", strings.ReplaceAll(sockets("sock_getlocaladdr", 3), "wasi_", "other_"), `"sock_bind"`, "_v2"},
		{"a high maximum", `(module (table 3 4000000000 funcref))`, `(table (;0;) 3 1000000 funcref)`, ""},
	} {
		out, err := Confine(assemble(t, tc.in))
		if err != nil {
			t.Errorf("%s: %v", tc.desc, err)
			continue
		}
		// A module is optimized from what Confine made of it.
		if again, err := Confine(out); err != nil || !bytes.Equal(again, out) {
			t.Errorf("%s: the second time is different: %v", tc.desc, err)
		}
		text := disassemble(t, out)
		if !strings.Contains(text, tc.want) || tc.gone != "" && strings.Contains(text, tc.gone) {
			t.Errorf("%s: got %s", tc.desc, text)
		}
	}
}

func TestConfineRefuses(t *testing.T) {
	for _, tc := range []struct {
		desc   string
		module []byte
		want   string
	}{
		{"a large table", assemble(t, `(module (table 1000001 funcref))`), "has a table of 1000001 entries, more than 1000000"},
		{"many tables", assemble(t, "(module "+strings.Repeat("(table 1 funcref)", 17)+")"), "has 17 tables, more than 16"},
		{"a table that ends early", []byte("\x00asm\x01\x00\x00\x00\x04\x03\x01\x70\x00"), "is malformed: a table"},
		{"limits of no kind", []byte("\x00asm\x01\x00\x00\x00\x04\x04\x01\x70\x07\x00"), "is malformed: a table: a kind"},
		{"an empty start section", []byte("\x00asm\x01\x00\x00\x00\x08\x00"), "is malformed: its start section"},
		{"two start sections", []byte("\x00asm\x01\x00\x00\x00\x08\x01\x00\x08\x01\x00"), "is malformed: it has two start sections"},
	} {
		if _, err := Confine(tc.module); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.desc, err, tc.want)
		}
	}
}
