// SPDX-License-Identifier: Apache-2.0

package jail

// #include "jail.h"
import "C"

import (
	"fmt"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// PageSize is the size of a page of linear memory in bytes (WebAssembly core
// specification, 4.2.8).
const PageSize = 64 << 10

// Refusal is why memory was refused to a guest.
type Refusal int

const (
	NotRefused      Refusal = C.JAIL_REFUSED_NOTHING
	RefusedByLimit  Refusal = C.JAIL_REFUSED_LIMIT  // of its own
	RefusedByBudget Refusal = C.JAIL_REFUSED_BUDGET // of all guests together
	RefusedByKernel Refusal = C.JAIL_REFUSED_KERNEL
)

// errDone stands for a thread that is over: FailedPrecondition.
var errDone = fmt.Errorf("the guest is over: %w", errdefs.ErrFailedPrecondition)

// Ending is the way in which a guest ended.
type Ending int

const (
	Exited      Ending = C.JAIL_END_EXIT     // returned, or called proc_exit
	Trapped     Ending = C.JAIL_END_TRAP     // an instruction trapped
	Killed      Ending = C.JAIL_END_KILLED   // by Kill
	Overflowed  Ending = C.JAIL_END_OVERFLOW // its native call stack was exhausted
	notIsolated        = Ending(C.JAIL_END_SETUP)
	NotStarted  Ending = C.JAIL_END_INIT    // its module could not be instantiated
	BadCall     Ending = C.JAIL_END_SYSCALL // made a system call for which Spec.Seccomp ends it
)

// Result is how a guest ended and what it used.
type Result struct {
	Ending  Ending
	Code    uint32 // of proc_exit; only if Exited
	Message string // the trap, or why it did not start
	Memory  uint64 // bytes of linear memory, and of buffers of directories, at the end
	Refused Refusal
	CPUTime time.Duration
	errno   syscall.Errno
}

func newResult(r *C.struct_jail_result) Result {
	return Result{
		Ending:  Ending(r.ending),
		Code:    uint32(r.code),
		Message: C.GoString(&r.message[0]),
		Memory:  uint64(r.memory),
		Refused: Refusal(r.refused),
		CPUTime: time.Duration(r.cpu_ns),
		errno:   syscall.Errno(r.err),
	}
}

// err is the reason why a guest never ran.
func (r *Result) err() error {
	switch {
	case r.Ending == Killed:
		return fmt.Errorf("killed before it started: %w", errdefs.ErrAborted)
	case r.Ending == NotStarted && r.Refused == RefusedByBudget:
		return fmt.Errorf("instantiating the module: %s: raise max_memory in the runtime's configuration: %w", r.Message, errdefs.ErrResourceExhausted)
	case r.Ending == NotStarted && r.Refused != NotRefused:
		return fmt.Errorf("instantiating the module: %s: %w", r.Message, errdefs.ErrResourceExhausted)
	case r.Ending == NotStarted:
		return fmt.Errorf("instantiating the module: %s: %w", r.Message, errdefs.ErrInvalidArgument)
	default:
		return fmt.Errorf("isolating the guest: %s: %w", r.Message, class(r.errno))
	}
}

func class(errno syscall.Errno) error {
	switch errno {
	case unix.ENOENT, unix.ENODEV:
		return errdefs.ErrNotFound
	case unix.EPERM, unix.EACCES, unix.EROFS:
		return errdefs.ErrPermissionDenied
	case unix.EINVAL, unix.ENAMETOOLONG, unix.ELOOP, unix.ENOTDIR, unix.EISDIR:
		return errdefs.ErrInvalidArgument
	case unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.ENOSPC:
		return errdefs.ErrResourceExhausted
	case unix.ENOSYS, unix.EOPNOTSUPP:
		return errdefs.ErrNotImplemented
	default:
		return errdefs.ErrInternal
	}
}
