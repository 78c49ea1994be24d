// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

// source builds a module with one of the toolchains.
func source(b *testing.B, tool string, args ...string) []byte {
	b.Helper()
	out := filepath.Join(b.TempDir(), "out.wasm")
	cmd := exec.Command(tool, append(args, "-o", out, "../testdata/hello"+map[string]string{"clang": ".c", "go": ".go"}[tool])...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		b.Fatal(err)
	}
	return module
}

func benchConfig(b *testing.B) engine.Config {
	testutil.RequiresRoot(b)
	return engine.Config{
		Root: filepath.Join(b.TempDir(), "own"), CompileTimeout: 5 * time.Minute, CompileMemory: 4 << 30, MaxModuleSize: 64 << 20,
		MaxFunctions: 100_000, MaxTableEntries: 2_000_000, MaxSegments: 200_000, MaxParallel: 1,
	}
}

// BenchmarkUnpackToReady is the time from the end of an unpacking to code that a
// start can load, and beside it that of the compiler alone, which is started for a
// module in a file. Each round is a new module. The database syncs.
func BenchmarkUnpackToReady(b *testing.B) {
	for name, module := range map[string][]byte{
		"C":  source(b, "clang", "--target=wasm32-wasi", "-O2"),
		"Go": source(b, "go", "build"),
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorldWithoutStore(b, true)
			store, err := New(w.db, "wasm")
			if err != nil {
				b.Fatal(err)
			}
			w.store = store
			cfg := benchConfig(b)
			cfg.Store = store
			e, err := engine.New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			store.Start(e, w.events, engine.Tier0)
			alone, err := engine.New(inMemory(b, benchConfig(b)))
			if err != nil {
				b.Fatal(err)
			}
			defer alone.Close()
			var ready, child []time.Duration
			for n := 0; b.Loop(); n++ {
				// A custom section makes it another module.
				unique := append(slices.Clone(module), "\x00\x05\x04"+fmt.Sprintf("%04x", n)...)
				if n%2 == 0 {
					child = append(child, compileAlone(b, alone, unique))
				}
				ready = append(ready, untilReady(b, w, fmt.Sprint(n), unique))
				if n%2 == 1 {
					child = append(child, compileAlone(b, alone, unique))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(child).Seconds()*1e3, "compiler-ms")
			b.ReportMetric(median(ready).Seconds()*1e3, "unpack-to-ready-ms")
			b.ReportMetric(median(ready).Seconds()/median(child).Seconds(), "ratio")
		})
	}
}

// inMemory has an engine store what it makes in memory.
func inMemory(b *testing.B, cfg engine.Config) engine.Config {
	b.Helper()
	dir := b.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			b.Error(err)
		}
	})
	cfg.Root = filepath.Join(dir, "own")
	return cfg
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func compileAlone(b *testing.B, e *engine.Engine, module []byte) time.Duration {
	b.Helper()
	path := filepath.Join(b.TempDir(), "app.wasm")
	if err := os.WriteFile(path, module, 0o444); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	started := time.Now()
	if _, err := e.Precompile(b.Context(), f); err != nil {
		b.Fatal(err)
	}
	return time.Since(started)
}

func untilReady(b *testing.B, w *world, name string, module []byte) time.Duration {
	b.Helper()
	before, _ := w.store.Size()
	w.unpack("bench", name, "", map[string][]byte{"app.wasm": module})
	started := time.Now()
	for {
		if n, _ := w.store.Size(); n > before {
			return time.Since(started)
		}
		time.Sleep(100 * time.Microsecond)
	}
}
