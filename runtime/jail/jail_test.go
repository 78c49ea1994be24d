// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"github.com/second-state/WasmEdge-go/wasmedge"
)

// compileArg makes the test binary a compiler: LLVM installs signal handlers,
// so it must not run where guests do.
const compileArg = "compile"

func compile(in, out string) error {
	conf := wasmedge.NewConfigure()
	defer conf.Release()
	conf.SetCompilerOutputFormat(wasmedge.CompilerOutputFormat_Wasm)
	conf.SetCompilerOptimizationLevel(wasmedge.CompilerOptLevel_O0)
	compiler := wasmedge.NewCompilerWithConfig(conf)
	defer compiler.Release()
	return compiler.Compile(in, out)
}

// loadFile compiles a module and loads it.
func loadFile(dir, path string) (*wasmedge.AST, error) {
	out := compiled(dir, filepath.Base(path))
	if msg, err := exec.Command("/proc/self/exe", compileArg, path, out).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compiling %s: %w: %s", path, err, msg)
	}
	return load(out)
}

// load loads what was compiled.
func load(path string) (*wasmedge.AST, error) {
	conf := wasmedge.NewConfigure()
	defer conf.Release()
	loader := wasmedge.NewLoaderWithConfig(conf)
	defer loader.Release()
	ast, err := loader.LoadFile(path)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", path, err)
	}
	validator := wasmedge.NewValidatorWithConfig(conf)
	defer validator.Release()
	if err := validator.Validate(ast); err != nil {
		return nil, fmt.Errorf("validating %s: %w", path, err)
	}
	return ast, nil
}

func compiled(dir, name string) string { return filepath.Join(dir, name+".aot") }

// loadSource loads a guest of testdata.
func loadSource(dir, name string) (*wasmedge.AST, error) {
	source, wasm := filepath.Join("testdata", name), filepath.Join(dir, name)
	cmd := exec.Command("wat2wasm", source, "-o", wasm)
	if filepath.Ext(name) == ".c" {
		cmd = exec.Command("clang", "--target=wasm32-wasi", "-O2", "-s", "-o", wasm, source)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%v: %w: %s", cmd.Args, err, out)
	}
	return loadFile(dir, wasm)
}

var (
	modules    = map[string]*wasmedge.AST{} // by file name without extension
	modulesDir string
)

// The process's first thread stays with the main goroutine: no test that moves a
// thread to another namespace gets it.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == compileArg {
		if err := compile(os.Args[2], os.Args[3]); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	wasmedge.SetLogOff()
	dir, err := os.MkdirTemp("", "jail-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if os.Getuid() == 0 {
		if err := setUp(dir); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

func setUp(dir string) error {
	keepalive := filepath.Join(dir, "keepalive.wasm")
	if err := os.WriteFile(keepalive, Keepalive, 0o600); err != nil {
		return err
	}
	ast, err := loadFile(dir, keepalive)
	if err != nil {
		return err
	}
	modulesDir = dir
	sources, err := filepath.Glob("testdata/*.wat")
	if err != nil {
		return err
	}
	for _, source := range append(sources, "socket.c", "lookup.c", "inet6.c", "peer.c", "search.c") {
		name := filepath.Base(source)
		if modules[strings.TrimSuffix(name, filepath.Ext(name))], err = loadSource(dir, name); err != nil {
			return err
		}
	}
	return Init(ast, "")
}

// spec is a work order for a module of testdata as an unprivileged user in an
// empty root.
func spec(tb testing.TB, module string) *Spec {
	tb.Helper()
	testutil.RequiresRoot(tb)
	ast := modules[module]
	if ast == nil {
		tb.Fatalf("no module %q in testdata", module)
	}
	return &Spec{
		Module:    ast,
		Entry:     "_start",
		Args:      []string{module},
		Rootfs:    tb.TempDir(),
		NewNetNS:  true,
		UID:       65534,
		GID:       65534,
		StackSize: 1 << 20,
	}
}

// stdout sends the guest's output to a file whose content it returns.
func stdout(tb testing.TB, s *Spec) func() string {
	path := filepath.Join(tb.TempDir(), "stdout")
	s.Stdio[1] = File{Path: path, Flags: outputFlags}
	return func() string { return content(tb, path) }
}

const outputFlags = os.O_WRONLY | os.O_CREATE | os.O_APPEND

func content(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func create(tb testing.TB, s *Spec) *Guest {
	tb.Helper()
	g, err := New(tb.Context(), s)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		g.Kill()
		<-g.Done()
	})
	return g
}

// runGuest runs a guest to its own end.
func runGuest(tb testing.TB, s *Spec) Result {
	tb.Helper()
	g := create(tb, s)
	if err := g.Start(); err != nil {
		tb.Fatal(err)
	}
	<-g.Done()
	return g.Result()
}
