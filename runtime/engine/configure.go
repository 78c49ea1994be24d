// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"

	"github.com/second-state/WasmEdge-go/wasmedge"
)

// Everything that this package asks of WasmEdge-go goes through this file and
// inspect.go. Its objects have no finalizers, so each is released here or has
// an owner; its errors are *Result, which plain turns into values that compare
// and print without C.

// compilerOptions names what newConfigure sets, in a module's key, beside the tier.
const compilerOptions = "universal"

// newConfigure makes the configuration that the compiler, the validator and the
// loader must agree on. The proposals are WasmEdge 0.14's defaults: mutable
// globals, non-trapping conversions, sign extension, multi-value, bulk memory,
// reference types and SIMD. That is all that clang, Go and Rust emit for
// wasm32-wasip1 unless they are told otherwise. Exception handling must stay
// off: it aborts the compiler.
//
// WasmEdge's defaults leave generic binaries (no CPU features) and
// interruptible code (six times slower, docs/speed.md) off.
func newConfigure(extra ...any) *wasmedge.Configure {
	c := wasmedge.NewConfigure(extra...)
	c.SetCompilerOutputFormat(wasmedge.CompilerOutputFormat_Wasm)
	return c
}

// loadAST parses and validates a module of less than 4 GiB, which is not empty.
// The AST keeps no reference to b. The caller releases it.
func loadAST(b []byte, extra ...any) (*wasmedge.AST, error) {
	c := newConfigure(extra...)
	defer c.Release()
	loader := wasmedge.NewLoaderWithConfig(c)
	defer loader.Release()
	ast, err := loader.LoadBuffer(b)
	if err != nil {
		return nil, plain(err)
	}
	validator := wasmedge.NewValidatorWithConfig(c)
	defer validator.Release()
	if err := validator.Validate(ast); err != nil {
		ast.Release()
		return nil, plain(err)
	}
	return ast, nil
}

// compileTo compiles a module of less than 4 GiB, which is not empty, into the
// file out. Other files appear beside it. WasmEdge ignores that a write or the
// linker failed: the caller checks the result.
func compileTo(out string, b []byte, t Tier) error {
	c := newConfigure()
	defer c.Release()
	c.SetCompilerOptimizationLevel(t.level())
	compiler := wasmedge.NewCompilerWithConfig(c)
	defer compiler.Release()
	return plain(compiler.CompileBuffer(b, out))
}

// plain copies err. A nil *Result, which WasmEdge-go may wrap, is no error.
func plain(err error) error {
	if err == nil {
		return nil
	}
	var result *wasmedge.Result
	if errors.As(err, &result) && result == nil {
		return nil
	}
	return errors.New(err.Error())
}
