// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// The test binary is re-executed as the compiler child.
func TestMain(m *testing.M) {
	if IsCompileChild() {
		misbehave()
		CompileChildMain()
	}
	os.Exit(m.Run())
}

func testConfig(t testing.TB) Config {
	testutil.RequiresRoot(t) // compiler children give rights up
	return Config{
		Root:           filepath.Join(t.TempDir(), "engine"),
		CompileTimeout: patience.For(time.Minute),
		CompileMemory:  2 << 30,
		MaxModuleSize:  64 << 20,

		MaxFunctions:    100_000,
		MaxTableEntries: 2_000_000,
		MaxSegments:     200_000,

		MaxParallel: 2,
	}
}

// newEngine makes an engine whose compilations are counted, and checks at the
// end that compiling left nothing behind.
func newEngine(t testing.TB, cfg Config) (*Engine, *atomic.Int32) {
	t.Helper()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var compiled atomic.Int32
	compile := e.compile
	e.compile = func(ctx context.Context, img *image, o order) error {
		compiled.Add(1)
		return compile(ctx, img, o)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(cfg.Root, tempPrefix+"*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
			t.Errorf("a child is left: %d, %v", pid, err)
		}
	})
	return e, &compiled
}

// wat builds a module from WebAssembly text with wabt.
func wat(t testing.TB, text string, flags ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wat"), filepath.Join(dir, "out.wasm")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	build(t, "wat2wasm", append(flags, in, "-o", out)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// build runs a compiler; make deps installs those of distributions.
func build(t testing.TB, tool string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", tool, err, out)
	}
}

// cHello and goHello return paths of modules as their toolchains make them.
func cHello(t testing.TB) string {
	out := filepath.Join(t.TempDir(), "c-hello.wasm")
	build(t, "clang", "--target=wasm32-wasi", "-O2", "-o", out, "testdata/hello.c")
	return out
}

func goHello(t testing.TB) string {
	out := filepath.Join(t.TempDir(), "go-hello.wasm")
	build(t, "go", "build", "-o", out, "testdata/hello.go")
	return out
}

func open(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// tiny is the smallest command.
func tiny(t testing.TB) []byte { return wat(t, `(module (func (export "_start")))`) }

// file writes b to a file whose times are in the past, as an image's are.
func file(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(settle + 10*time.Millisecond)
	return path
}
