// SPDX-License-Identifier: Apache-2.0

// Package binary reads as much of the WebAssembly binary format as the engine
// needs before, and after, it hands bytes to the compiler: what kind of file
// it is, where its sections are, what it imports, and whether a compiled
// artefact is complete. It is pure Go, so that hostile bytes can at worst
// yield an error.
//
// Errors are phrases that follow a module's name ("is empty", "imports ...");
// the caller adds the name and the error class.
//
// Format: https://webassembly.github.io/spec/core/binary/modules.html
package binary

import (
	"bytes"
	stdbinary "encoding/binary"
	"errors"
	"fmt"
)

// HeaderSize is the length in bytes of the magic number and the version.
const HeaderSize = 8

var (
	magic         = []byte("\x00asm")
	moduleVersion = []byte{1, 0, 0, 0}
)

// foreign lists the beginnings of files that end up in images where a module
// was meant, with what to tell the operator.
var foreign = []struct{ prefix, phrase string }{
	{"\x7fELF", "is an ELF file (native code), not a WebAssembly module: build it for wasm32-wasip1"},
	{"\xfe\xed\xfa\xce", machO}, {"\xfe\xed\xfa\xcf", machO},
	{"\xce\xfa\xed\xfe", machO}, {"\xcf\xfa\xed\xfe", machO}, {"\xca\xfe\xba\xbe", machO},
	{"MZ", "is a Windows executable (native code), not a WebAssembly module: build it for wasm32-wasip1"},
	{"#!", "is a script (#!), not a WebAssembly module: no shell or interpreter runs it; name the module itself as the entrypoint"},
	{"\x1f\x8b", "is gzip-compressed, not a WebAssembly module: store it uncompressed"},
}

const machO = "is a Mach-O file (native code), not a WebAssembly module: build it for wasm32-wasip1"

// Classify reports, from the first bytes of a file (64 are plenty, fewer only
// if the file ends there), why it is not a core WebAssembly module. nil means
// that the header is one of a core module, and says nothing about the rest.
func Classify(head []byte) error {
	if len(head) == 0 {
		return errors.New("is empty")
	}
	if !bytes.HasPrefix(head, magic) {
		return classifyForeign(head)
	}
	if len(head) < HeaderSize {
		return fmt.Errorf("is truncated: it has %d bytes, and a module's header alone takes %d", len(head), HeaderSize)
	}
	version := head[len(magic):HeaderSize]
	if bytes.Equal(version, moduleVersion) {
		return nil
	}
	// A component has a 16-bit version and, where core modules have zeros, a
	// 16-bit layer of 1.
	if version[2] == 1 && version[3] == 0 {
		return errors.New("is a WebAssembly component, not a core module: components (WASI 0.2) are not supported; build for wasm32-wasip1")
	}
	return fmt.Errorf("has WebAssembly version %d: only version 1 is supported", stdbinary.LittleEndian.Uint32(version))
}

func classifyForeign(head []byte) error {
	if bytes.HasPrefix(magic, head) {
		return fmt.Errorf("is truncated: it has %d bytes, and a module's header alone takes %d", len(head), HeaderSize)
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.prefix)) {
			return errors.New(f.phrase)
		}
	}
	text := bytes.TrimLeft(head, "\ufeff \t\r\n")
	for _, prefix := range []string{"(module", "(component", ";;", "(;"} {
		if bytes.HasPrefix(text, []byte(prefix)) {
			return errors.New("is WebAssembly text, not a binary module: convert it, for example with wat2wasm")
		}
	}
	return fmt.Errorf("is not a WebAssembly module: it starts with % x, where a module has % x", head[:min(len(head), len(magic))], magic)
}
