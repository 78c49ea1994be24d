// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/second-state/WasmEdge-go/wasmedge"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// loadMisbehaving has a child misbehave in the given way, and returns what Load
// made of it.
func loadMisbehaving(t *testing.T, cfg Config, how string) error {
	t.Helper()
	e, _ := newEngine(t, cfg)
	m, err := e.LoadBytes(t.Context(), "app.wasm", tiny(t), WithImport("test", how))
	if err == nil {
		m.Release()
	}
	return err
}

func TestChildIsRestricted(t *testing.T) {
	t.Setenv("SECRET", "x")
	cfg := testConfig(t)
	cfg.CompileTimeout = 10 * time.Second
	err := loadMisbehaving(t, cfg, "facts")
	want := `module "app.wasm" own user true and group true, groups []; environment []; root [] <nil>; interface lo up false; pid 1; ` +
		`setuid operation not permitted; chroot operation not permitted; core 0; cpu 22; threads 4096; files 16` + invalid
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %v", err, want)
	}
}

func TestMisbehavingChild(t *testing.T) {
	// However large this process is, a child that crashes did so by itself.
	large := bytes.Repeat([]byte("x"), 200<<20)
	defer runtime.KeepAlive(large)
	for how, c := range map[string]struct {
		is   func(error) bool
		want string
	}{
		"segv":         {errdefs.IsInternal, `module "app.wasm" crashed the compiler (`},
		"threads":      {errdefs.IsResourceExhausted, `module "app.wasm" needs more memory to compile than compile_memory`},
		"open files":   {errdefs.IsInvalidArgument, `module "app.wasm" opened true files: too many open files`},
		"many files":   {errdefs.IsInvalidArgument, `module "app.wasm" made 16 files: no space left on device`},
		"full":         {errdefs.IsResourceExhausted, `module "app.wasm" compiles to more code than the compiler's files have room for (64 MiB each): make the module smaller`},
		"other engine": {errdefs.IsUnavailable, `when the daemon started: restart the daemon`},
		"panic":        {errdefs.IsInternal, `module "app.wasm" crashed the compiler (exit status 2)`},
		"garbage":      {errdefs.IsInternal, `module "app.wasm" could not be compiled: the answer is malformed`},
		"nothing":      {errdefs.IsUnavailable, `no such file or directory`},
		"symlink":      {errdefs.IsUnavailable, `too many levels of symbolic links`},
		"fifo":         {errdefs.IsUnavailable, `the compiler's result is not a regular file`},
		"large file":   {errdefs.IsInvalidArgument, `module "app.wasm" wrote true bytes: file too large`},
		"allocate":     {errdefs.IsResourceExhausted, `module "app.wasm" needs more memory to compile than compile_memory (256 MiB): raise it in the engine's configuration, or make the module smaller`},
		"hang":         {errdefs.IsResourceExhausted, `module "app.wasm" took longer to compile than compile_timeout (2s): raise it in the engine's configuration, or make the module smaller`},
		"flood":        {errdefs.IsResourceExhausted, `took longer to compile than compile_timeout (2s)`},
		"other code":   {errdefs.IsInternal, `the compiler's result is not what it says that it loaded`},
		"more code":    {errdefs.IsInternal, `the compiler's result is not what it says that it loaded`},
		"many names":   {errdefs.IsInternal, `the compiler's result is not what it says that it loaded`},
		"less code":    {errdefs.IsInternal, `the compiler's result is not what it says that it loaded`},
		"other counts": {errdefs.IsInternal, `was compiled but cannot be loaded: artefact has not as much of everything as is recorded`},
		"forged code":  {errdefs.IsInternal, `was compiled but cannot be loaded: artefact has no compiled code`},
	} {
		t.Run(how, func(t *testing.T) {
			cfg := testConfig(t)
			cfg.CompileMemory = 256 << 20
			if strings.Contains(c.want, "compile_timeout") {
				cfg.CompileTimeout = 2 * time.Second
			}
			err := loadMisbehaving(t, cfg, how)
			if err == nil || !c.is(err) || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
}

// oneFunction is a command of one function with the given instructions.
func oneFunction(instructions []byte) []byte {
	body := slices.Concat([]byte{0}, instructions, []byte{0x0b}) // no locals; end
	code := append(binary.AppendUvarint([]byte{1}, uint64(len(body))), body...)
	b := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x04\x01\x60\x00\x00" + // types: () -> ()
		"\x03\x02\x01\x00" + // functions: one
		"\x07\x0a\x01\x06_start\x00\x00" + // exports
		"\x0a") // code
	return append(binary.AppendUvarint(b, uint64(len(code))), code...)
}

func manyInstructions(n int) []byte {
	return oneFunction(bytes.Repeat([]byte{0x41, 0, 0x1a}, n/2)) // (i32.const 0) drop
}

func deeplyNested(n int) []byte {
	return oneFunction(slices.Concat(bytes.Repeat([]byte{0x02, 0x40}, n), bytes.Repeat([]byte{0x0b}, n))) // block end
}

func TestCompilerLimits(t *testing.T) {
	large := manyInstructions(4_000_000)
	t.Run("time", func(t *testing.T) {
		cfg := testConfig(t)
		cfg.CompileTimeout = 300 * time.Millisecond
		e, compiled := newEngine(t, cfg)
		for range 2 {
			start := time.Now()
			_, err := e.LoadBytes(t.Context(), "app.wasm", large)
			if !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "compile_timeout") {
				t.Error(err)
			}
			if took := time.Since(start); took > patience.For(5*time.Second) {
				t.Errorf("took %v", took)
			}
		}
		if n := compiled.Load(); n != 1 {
			t.Errorf("%d compilations, want 1", n)
		}
	})
	t.Run("memory", func(t *testing.T) {
		cfg := testConfig(t)
		cfg.CompileMemory = 128 << 20
		e, _ := newEngine(t, cfg)
		_, err := e.LoadBytes(t.Context(), "app.wasm", large)
		if !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "compile_memory") {
			t.Error(err)
		}
	})
}

// runOne runs one child with the given job, whose engine's limits are out of the
// way.
func runOne(t *testing.T, module []byte, r rules, change func(*job)) error {
	t.Helper()
	cfg := testConfig(t)
	e, _ := newEngine(t, cfg)
	img, err := seal(bytes.NewReader(module), cfg.MaxModuleSize)
	if err != nil {
		t.Fatal(err)
	}
	defer img.close()
	scratch, err := newScratch(64<<20, nobody)
	if err != nil {
		t.Fatal(err)
	}
	defer scratch.close()
	j := job{Engine: wasmedge.GetVersion(), Rules: r, Bounds: cfg.bounds(), Memory: 1 << 30, CPUSeconds: 60, FileSize: 64 << 20, User: nobody}
	change(&j)
	_, err = e.runChild(t.Context(), img, scratch, cfg.CompileTimeout, j)
	return err
}

func TestProcessorTimeIsLimited(t *testing.T) {
	err := runOne(t, tiny(t), newRules([]Option{WithImport("test", "spin")}), func(j *job) { j.CPUSeconds = 1 })
	if !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "took more processor time to compile (1s) than compile_timeout (") {
		t.Error(err)
	}
}

// What WasmEdge does not tell: the compiler's own files hit the limit.
func TestOutputIsLimited(t *testing.T) {
	module, err := os.ReadFile(cHello(t))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for size := int64(1 << 10); ; size += size / 4 {
		err := runOne(t, module, rules{}, func(j *job) { j.FileSize = size })
		if err == nil {
			break
		}
		if !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "compiles to more code than the compiler's files have room for") {
			t.Fatalf("%d bytes: %v", size, err)
		}
		refused++
	}
	if refused < 5 {
		t.Errorf("%d sizes were too small", refused)
	}
}

// What the loader, the validator and LLVM make of deep nesting is a module or an
// error; this process survives both.
func TestDeepNesting(t *testing.T) {
	e, _ := newEngine(t, testConfig(t))
	for _, n := range []int{1_000, 100_000} {
		m, err := e.LoadBytes(t.Context(), "app.wasm", deeplyNested(n))
		if err == nil {
			m.Release()
		} else if !isRefusal(err) {
			t.Error(err)
		}
		t.Logf("%d blocks: %v", n, err)
	}
}
