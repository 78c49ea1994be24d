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
	if !r.NoStart {
		return checkStart(ast)
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

// checkStart checks that a module is a command.
func checkStart(ast *wasmedge.AST) error {
	reactor := false
	for _, export := range ast.ListExports() {
		switch export.GetExternalName() {
		case "_initialize":
			reactor = true
		case "_start":
			return checkStartType(export)
		}
	}
	if reactor {
		return refusal{errors.New(`exports "_initialize" and no "_start": it is a reactor (a library); build it as a command, without -mexec-model=reactor, -buildmode=c-shared or crate-type cdylib`)}
	}
	return refusal{errors.New(`exports no function "_start": build it as a program with a main function, for wasm32-wasip1`)}
}

func checkStartType(export *wasmedge.ExportType) error {
	if export.GetExternalType() != wasmedge.ExternType_Function {
		return refusal{errors.New(`exports "_start", but not as a function`)}
	}
	t, ok := export.GetExternalValue().(*wasmedge.FunctionType)
	if !ok {
		return errors.New("cannot tell the type of _start")
	}
	if p, r := t.GetParametersLength(), t.GetReturnsLength(); p != 0 || r != 0 {
		return refusal{fmt.Errorf(`exports function "_start" with %d parameters and %d results: a command's has none`, p, r)}
	}
	return nil
}
