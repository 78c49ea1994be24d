// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/second-state/WasmEdge-go/wasmedge"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

const wasiModule = "wasi_snapshot_preview1"

// checkImports compares a valid module's imports with what the host provides.
func checkImports(module []byte, r rules) error {
	h, err := newHost()
	if err != nil {
		return err
	}
	defer h.release()
	seen := map[binary.Import]bool{}
	for imp, err := range binary.Imports(module) {
		switch {
		case err != nil:
			return refusal{err}
		case imp.Kind != binary.KindFunction:
			return refusal{fmt.Errorf("imports %v %s, and the host provides functions only: define it in the module", imp.Kind, quote(imp))}
		case seen[imp] || r.allow(imp.Module, imp.Name):
		case imp.Module != wasiModule || !slices.Contains(h.functions, imp.Name):
			return refusal{fmt.Errorf("imports function %s, which the host does not provide: %s", quote(imp), remedy(imp))}
		default:
			if err := h.link(module, imp); err != nil {
				return err
			}
			seen[imp] = true
		}
	}
	return nil
}

// quote returns an import's names for an error; hostile names are cut.
func quote(imp binary.Import) string {
	short := func(s string) string {
		const most = 100
		if len(s) > most {
			s = s[:most] + "…"
		}
		return fmt.Sprintf("%q", s)
	}
	return short(imp.Module) + "." + short(imp.Name)
}

// remedy says what would make an import that the host lacks go away.
func remedy(imp binary.Import) string {
	switch m := imp.Module; {
	case m == wasiModule:
		return "it is not part of WASI preview 1"
	case m == "wasi_unstable":
		return "that is the ABI before WASI preview 1; rebuild it for wasm32-wasip1 with a current toolchain"
	case m == "wasi" && imp.Name == "thread-spawn":
		return "threads are not supported; build it for wasm32-wasip1, not wasm32-wasip1-threads"
	case strings.HasPrefix(m, "wasi:"):
		return "that is WASI 0.2, of components; build it for wasm32-wasip1"
	case strings.HasPrefix(m, "wasi_ephemeral_") || strings.HasPrefix(m, "wasi_nn") || strings.HasPrefix(m, "wasmedge"):
		return "that is an extension of some WebAssembly runtimes; build it without"
	case m == "gojs" || m == "go":
		return "that is Go for browsers; build it with GOOS=wasip1"
	case m == "wbg" || strings.HasPrefix(m, "__wbindgen"):
		return "that is wasm-bindgen, for browsers; build it for wasm32-wasip1"
	case m == "env":
		return "link it in; if Emscripten built the module, use -sSTANDALONE_WASM or wasi-sdk"
	}
	return "link it in, or build it for wasm32-wasip1"
}

// host is what guests may import, as the real thing, but without any guest.
type host struct {
	executor  *wasmedge.Executor
	store     *wasmedge.Store
	wasi      *wasmedge.Module
	functions []string
}

func newHost() (*host, error) {
	h := &host{
		executor: wasmedge.NewExecutor(),
		store:    wasmedge.NewStore(),
		wasi:     wasmedge.NewWasiModule(nil, nil, nil),
	}
	h.functions = h.wasi.ListFunction()
	if err := h.executor.RegisterImport(h.store, h.wasi); err != nil {
		h.release()
		return nil, fmt.Errorf("cannot check imports: %w", plain(err))
	}
	return h, nil
}

func (h *host) release() {
	h.executor.Release()
	h.store.Release()
	h.wasi.Release()
}

// link refuses an import whose signature is not the host's. WasmEdge-go cannot
// list a signature's types (FunctionType.GetParameters dereferences nil), so it
// is WasmEdge's own linker that compares them.
func (h *host) link(module []byte, imp binary.Import) error {
	probe, err := binary.Probe(module, imp)
	if err != nil {
		return err
	}
	ast, err := loadAST(probe)
	if err != nil {
		return fmt.Errorf("cannot check imports: %w", err)
	}
	defer ast.Release()
	instance, err := h.executor.Instantiate(h.store, ast)
	if err != nil {
		return refusal{fmt.Errorf("imports function %s with another signature than the host's: rebuild it for wasm32-wasip1 with a current toolchain", quote(imp))}
	}
	instance.Release()
	return nil
}
