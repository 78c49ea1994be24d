// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// A crash is the end of a child that gave no answer. What it wrote to stderr
// only chooses between explanations.
type crash struct {
	err    error
	state  *os.ProcessState
	stderr string
}

// explain says why the child of a job ended, and what may be done about it.
func (e *Engine) explain(c crash, files *scratch, j job) error {
	limit := time.Duration(j.CPUSeconds) * time.Second
	switch {
	case c.signal() == unix.SIGSYS:
		return fmt.Errorf("made the compiler try a system call that it is not allowed, and it was stopped; the kernel's log has the call's number: if this happens with every module, containerd-wasm does not know a library that was updated: %w",
			errdefs.ErrInternal)
	case c.signal() == unix.SIGKILL && c.cpuTime() >= limit*3/4:
		return fmt.Errorf("took more processor time to compile (%v) than compile_timeout (%v) allows: raise it in the engine's configuration, or make the module smaller: %w",
			limit, e.cfg.CompileTimeout, errdefs.ErrResourceExhausted)
	case files.full() || strings.HasPrefix(c.stderr, linkerError):
		return fmt.Errorf("compiles to more code than the compiler's files have room for (%d MiB each): make the module smaller: %w",
			j.FileSize>>20, errdefs.ErrResourceExhausted)
	case c.lackedMemory(j):
		return fmt.Errorf("needs more memory to compile than compile_memory (%d MiB): raise it in the engine's configuration, or make the module smaller: %w",
			j.Memory>>20, errdefs.ErrResourceExhausted)
	case c.signal() == unix.SIGKILL:
		return fmt.Errorf("could not be compiled: the compiler was killed; the host may be out of memory: %w", errdefs.ErrUnavailable)
	}
	return fmt.Errorf("crashed the compiler (%w): build it with another compiler version or fewer WebAssembly features: %w", c.err, errdefs.ErrInternal)
}

func (c crash) signal() unix.Signal {
	status, _ := c.state.Sys().(syscall.WaitStatus) // 0, no signal, if it never ran
	return status.Signal()
}

// cpuTime is not what the kernel's limit looks at, which counts ticks of a clock: on a
// busy machine these may be a fifth more.
func (c crash) cpuTime() time.Duration { return c.state.UserTime() + c.state.SystemTime() }

// linkerError is how the linker begins to say why it gives up. It needs room,
// and wants nothing else of code that the compiler makes.
const linkerError = "ld.lld: error: "

// outOfMemory are phrases with which the C++ library, LLVM, the kernel's errno,
// Go's runtime and its race detector end for lack of memory, and libc says that
// it has none for the stack of a thread.
var outOfMemory = []string{
	"bad_alloc", "out of memory", "annot allocate memory", "failed to allocate", "errno=12",
	"Resource temporarily unavailable",
}

// lackedMemory says whether a child that died says that it lacked memory, or
// had come near its limit: not all code survives a failed allocation for long
// enough to say so. The kernel counts what this process had when it started the
// child as the child's, until the child has more.
func (c crash) lackedMemory(j job) bool {
	for _, phrase := range outOfMemory {
		if strings.Contains(c.stderr, phrase) {
			return true
		}
	}
	usage, ok := c.state.SysUsage().(*syscall.Rusage)
	var own unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &own); err != nil || !ok {
		return false
	}
	return usage.Maxrss > max(own.Maxrss, j.Memory/2>>10) // KiB
}
