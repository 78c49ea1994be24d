// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// misbehave makes a compiler child of the tests do, once it is restricted, what
// one might that a module has taken over. A test asks for it with the import
// "test".<what>, which reaches the child with the module's rules.
func misbehave() {
	var j job
	if json.Unmarshal([]byte(os.Args[1]), &j) != nil || len(j.Rules.Imports) != 1 || j.Rules.Imports[0].Module != "test" {
		return
	}
	runtime.LockOSThread()
	if err := restrict(j); err != nil {
		panic(err)
	}
	reply := os.NewFile(answerFD, "answer")
	switch j.Rules.Imports[0].Name {
	case "facts":
		b, _ := answer{Refused: facts()}.encode()
		reply.Write(b)
	case "segv":
		unix.Kill(os.Getpid(), unix.SIGSEGV)
	case "panic":
		panic("as LLVM's assertions do")
	case "hang":
		select {}
	case "flood":
		for {
			reply.Write(bytes.Repeat([]byte("x"), 1<<16))
			os.Stderr.Write(bytes.Repeat([]byte("x"), 1<<16))
		}
	case "garbage":
		reply.WriteString("{\"refused\":1}\n")
	case "nothing":
		reply.WriteString("{}\n")
	case "allocate":
		hog := []byte("x")
		for {
			hog = append(hog, hog...)
		}
	case "symlink":
		os.Symlink("/etc/passwd", outName)
		reply.WriteString("{}\n")
	case "fifo":
		unix.Mkfifo(outName, 0o777)
		reply.WriteString("{}\n")
	case "large file":
		f, err := os.Create(outName)
		if err != nil {
			panic(err)
		}
		for err == nil {
			_, err = f.Write(make([]byte, 1<<20))
		}
		b, _ := answer{Refused: err.Error()}.encode()
		reply.Write(b)
	case "forged code":
		os.WriteFile(outName, []byte("\x00asm\x01\x00\x00\x00"), 0o600)
		reply.WriteString("{}\n")
	}
	os.Exit(0)
}

// facts tells what a restricted child can see, as phrases.
func facts() string {
	var found []string
	tell := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	groups, _ := os.Getgroups()
	tell("ids %d %d %v", os.Getuid(), os.Getgid(), groups)
	tell("environment %v", os.Environ())
	entries, err := os.ReadDir("/")
	tell("root %v %v", entries, err)
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		tell("interface %s up %v", i.Name, i.Flags&net.FlagUp != 0)
	}
	tell("pid %d", os.Getpid())
	tell("setuid %v", syscall.Setuid(0))
	tell("chroot %v", unix.Chroot("/"))
	var limit unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	tell("core %d", limit.Max)
	unix.Getrlimit(unix.RLIMIT_CPU, &limit)
	tell("cpu %d", limit.Max)
	return strings.Join(found, "; ")
}

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
	want := `module "app.wasm" ids 65534 65534 []; environment []; root [] <nil>; interface lo up false; pid 1; ` +
		`setuid operation not permitted; chroot operation not permitted; core 0; cpu 22` + invalid
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %v", err, want)
	}
}

func TestMisbehavingChild(t *testing.T) {
	for how, c := range map[string]struct {
		is   func(error) bool
		want string
	}{
		"segv":        {errdefs.IsInternal, `module "app.wasm" crashed the compiler (`},
		"panic":       {errdefs.IsInternal, `module "app.wasm" crashed the compiler (exit status 2)`},
		"garbage":     {errdefs.IsInternal, `module "app.wasm" could not be compiled: the answer is malformed`},
		"nothing":     {errdefs.IsUnavailable, `no such file or directory`},
		"symlink":     {errdefs.IsUnavailable, `too many levels of symbolic links`},
		"fifo":        {errdefs.IsUnavailable, `the compiler's result is not a regular file`},
		"large file":  {errdefs.IsInvalidArgument, `file too large`},
		"allocate":    {errdefs.IsResourceExhausted, `module "app.wasm" needs more memory to compile than compile_memory (256 MiB): raise it in the engine's configuration, or make the module smaller`},
		"hang":        {errdefs.IsResourceExhausted, `module "app.wasm" took longer to compile than compile_timeout (2s): raise it in the engine's configuration, or make the module smaller`},
		"flood":       {errdefs.IsResourceExhausted, `took longer to compile than compile_timeout (2s)`},
		"forged code": {errdefs.IsInternal, `was compiled but cannot be loaded: artefact has no compiled code`},
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
