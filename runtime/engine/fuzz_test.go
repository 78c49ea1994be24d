// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// FuzzChild has compiler children compile modules that were changed at random.
// They may refuse or crash. They must not take longer than they may, nor leave
// anything; and what they accept, this process loads and instantiates.
func FuzzChild(f *testing.F) {
	cfg := testConfig(f)
	cfg.CompileTimeout, cfg.CompileMemory = 5*time.Second, 1<<30 // package testing allows 10 s
	e, _ := newEngine(f, cfg)
	modules := fuzzModules(f)
	for i := range modules {
		f.Add(uint8(i), uint64(i), uint8(i%4))
	}
	descriptors := -1
	f.Fuzz(func(t *testing.T, which uint8, seed uint64, changes uint8) {
		module := newMutator(seed).mutate(modules[int(which)%len(modules)], int(changes%8))
		started := time.Now()
		m, err := e.LoadBytes(t.Context(), "mutant", module)
		if took := time.Since(started); took > patience.For(3*cfg.CompileTimeout) {
			t.Errorf("took %v", took)
		}
		switch {
		case err == nil:
			checkAccepted(t, m)
			m.Release()
		case !isRefusal(err) || strings.Contains(err.Error(), "system call"):
			t.Error(err) // nothing that compilers do is not allowed
		}
		descriptors = checkNothingLeft(t, cfg, descriptors)
	})
}

// fuzzModules are real programs and, first for the sake of the seeds in testdata,
// one with something of everything.
func fuzzModules(f *testing.F) (modules [][]byte) {
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	modules = [][]byte{wat(f, string(read("binary/testdata/everything.wat"))), read(cHello(f)), read(goHello(f))}
	texts, err := filepath.Glob("../jail/testdata/*.wat")
	if err != nil || len(texts) == 0 {
		f.Fatal(err, "no texts")
	}
	for _, path := range texts {
		modules = append(modules, wat(f, string(read(path))))
	}
	return modules
}

// checkAccepted instantiates a module, which may fail, and compares what was
// counted with what WasmEdge found.
func checkAccepted(t *testing.T, m *Module) {
	t.Helper()
	if got, want := m.Info().Imports, len(m.AST().ListImports()); got != uint64(want) {
		t.Errorf("counted %d imports of %d", got, want)
	}
	if got, want := m.Info().Exports, len(m.AST().ListExports()); got != uint64(want) {
		t.Errorf("counted %d exports of %d", got, want)
	}
	h, err := newHost()
	if err != nil {
		t.Fatal(err)
	}
	defer h.release()
	if instance, err := h.executor.Instantiate(h.store, m.AST()); err == nil {
		instance.Release()
	}
}

// checkNothingLeft checks that there is no child and no file, beside artefacts
// that it removes, and not more descriptors than before, of which it returns the
// number.
func checkNothingLeft(t *testing.T, cfg Config, before int) int {
	t.Helper()
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("a child is left: %d, %v", pid, err)
	}
	artefacts, _ := filepath.Glob(filepath.Join(cfg.Root, "*"))
	for _, path := range artefacts {
		if strings.HasPrefix(filepath.Base(path), tempPrefix) {
			t.Errorf("left behind: %s", path)
		}
		os.Remove(path)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	if before >= 0 && len(open) > before {
		t.Errorf("%d descriptors, and %d before", len(open), before)
	}
	return len(open)
}
