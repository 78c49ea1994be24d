// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// variant is a way to build and run a program.
type variant struct {
	name  string
	level string // of WasmEdge's compiler: 0, 1, 2, 3, s, z; none for no compiler
	flags string // of runner compile
	simd  bool   // whether clang may use WebAssembly's vectors
	slow  int    // it gets the rounds that native code gets, divided by this
}

// native is what all others are compared with. tier0 and tier1 have the options of
// runtime/engine.
var (
	native      = variant{name: "native", slow: 1}
	tier0       = variant{name: "-O0", level: "0", flags: "-", slow: 1}
	tier1       = variant{name: "-O2", level: "2", flags: "-", slow: 1}
	interpreter = variant{name: "interpreted", slow: 100}
)

// compilerFlags keep floating-point results the same everywhere, and let sqrt be one
// instruction, as it is in WebAssembly.
var compilerFlags = []string{"-O2", "-ffp-contract=off", "-fno-math-errno"}

// workshop is a directory with the runner and what is built for it.
type workshop struct {
	dir    string
	runner string
}

func newWorkshop(tb testing.TB) workshop {
	tb.Helper()
	dir := tb.TempDir()
	w := workshop{dir, filepath.Join(dir, "runner")}
	run(tb, "cc", "-O2", "-o", w.runner, filepath.Join("runner", "runner.c"), "-lwasmedge")
	return w
}

// built is a program in one variant.
type built struct {
	variant   variant
	command   []string      // takes the number of rounds
	compiling time.Duration // of the processor, by WasmEdge's compiler
}

func (w workshop) build(tb testing.TB, p program, v variant) built {
	tb.Helper()
	result := built{variant: v}
	source := filepath.Join("programs", p.name+".c")
	if v == native {
		out := filepath.Join(w.dir, p.name)
		result.command = []string{out}
		run(tb, "clang", append([]string{"-o", out, source}, compilerFlags...)...)
		return result
	}
	module := filepath.Join(w.dir, p.name+v.name+".wasm")
	flags := append([]string{"--target=wasm32-wasi", "-s", "-o", module, source}, compilerFlags...)
	if v.simd {
		flags = append(flags, "-msimd128")
	}
	run(tb, "clang", flags...)
	if v.level != "" {
		out := filepath.Join(w.dir, p.name+v.name+".compiled.wasm")
		result.compiling = nanoseconds(tb, run(tb, w.runner, "compile", v.level, v.flags, module, out))
		module = out
	}
	result.command = []string{w.runner, "run", module}
	return result
}

// run runs the program, and returns its checksum and the processor time of its work.
func (b built) run(tb testing.TB, rounds int) (sum string, took time.Duration) {
	tb.Helper()
	out := run(tb, b.command[0], append(b.command[1:], strconv.Itoa(rounds))...)
	sum, rest, _ := strings.Cut(out, " ")
	return sum, nanoseconds(tb, rest)
}

func nanoseconds(tb testing.TB, s string) time.Duration {
	tb.Helper()
	ns, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return time.Duration(ns)
}

// run returns what a command printed.
func run(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), name, args...).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		tb.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}
