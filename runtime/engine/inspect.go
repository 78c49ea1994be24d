// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"

	"github.com/second-state/WasmEdge-go/wasmedge"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// inspect validates a module and checks that this host can run it. It is for
// the compiler child: WasmEdge parses the module here. What is the module's
// fault comes back as a refusal.
func inspect(module []byte, r rules) error {
	ast, err := loadAST(module)
	if err != nil {
		return refusal{explainInvalid(module, err)}
	}
	defer ast.Release()
	if err := binary.CheckFunctions(module); err != nil {
		return refusal{err}
	}
	if err := checkImports(module, r); err != nil {
		return err
	}
	functions, err := functionsOf(module)
	if err == nil {
		err = functions.check()
	}
	if err != nil {
		return refusal{err}
	}
	return nil
}

// proposals are what a build may have been told to use, and how to tell it not
// to.
var proposals = []struct {
	name, without string
	enable        []any
}{
	{"exception handling", "without -fwasm-exceptions, or with panic=abort", []any{wasmedge.EXCEPTION_HANDLING}},
	{"threads", "for wasm32-wasip1, not wasm32-wasip1-threads", []any{wasmedge.THREADS}},
	{"tail calls", "without -mtail-call", []any{wasmedge.TAIL_CALL}},
	{"extended constant expressions", "without -mextended-const", []any{wasmedge.EXTENDED_CONST}},
	{"multiple memories", "with one memory", []any{wasmedge.MULTI_MEMORIES}},
	{"relaxed SIMD", "without -mrelaxed-simd", []any{wasmedge.RELAXED_SIMD}},
	{"garbage collection", "for wasm32-wasip1 with a compiler that needs no garbage collector of the host",
		[]any{wasmedge.FUNCTION_REFERENCES, wasmedge.GC}},
}

// explainInvalid says why a module does not validate: which proposal it uses, if
// that is all, or else WasmEdge's error.
func explainInvalid(module []byte, err error) error {
	for _, p := range proposals {
		ast, failed := loadAST(module, p.enable...)
		if failed != nil {
			continue
		}
		ast.Release()
		return fmt.Errorf("uses %s, which is not supported: build it %s", p.name, p.without)
	}
	if binary.HasSection(module, binary.SectionTag) {
		return errors.New("uses exception handling, which is not supported: build it " + proposals[0].without)
	}
	return fmt.Errorf("is not a valid WebAssembly module: %w", err)
}
