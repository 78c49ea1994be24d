// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"

	seccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"
)

// allowedCalls are the system calls that Go's runtime, libc, LLVM and its linker
// make while they compile, run out of memory or crash. Those that only another
// architecture has do no harm.
var allowedCalls = []string{
	// memory; more of it below
	"brk", "munmap", "mremap", "madvise",
	// threads
	"futex", "sched_yield", "sched_getaffinity", "nanosleep", "clock_nanosleep", "restart_syscall",
	"getpid", "gettid", "set_robust_list", "rseq", "exit", "exit_group",
	// the process's own signals
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
	// files: there are none but its own
	"openat", "close", "read", "pread64", "write", "writev", "lseek", "fcntl", "epoll_ctl", "epoll_pwait",
	"fstat", "newfstatat", "access", "faccessat", "getcwd", "ftruncate",
	"rename", "renameat", "renameat2", "unlink", "unlinkat",
	// what libc asks the kernel where the vDSO does not know, or for sorting
	"clock_gettime", "gettimeofday", "getrandom", "sysinfo",
}

// A condition allows a call if its argument, masked, has a certain value.
type condition struct {
	call        string
	argument    uint
	mask, value uint64
}

const all = ^uint64(0)

var allowedConditions = []condition{
	{"mmap", 2, unix.PROT_EXEC, 0},
	{"mprotect", 2, unix.PROT_EXEC, 0},
	// The loader makes the code executable that it has copied.
	{"mprotect", 2, all, unix.PROT_READ | unix.PROT_EXEC},
	// Threads, and no processes.
	{"clone", 0, unix.CLONE_THREAD, unix.CLONE_THREAD},
	// abort, and how Go interrupts its threads.
	{"tgkill", 0, all, uint64(os.Getpid())},
	// Names of threads and of memory, for those who look from outside.
	{"prctl", 0, all, unix.PR_SET_NAME},
	{"prctl", 0, all, unix.PR_SET_VMA},
	// Whether a file is a terminal.
	{"ioctl", 1, all, unix.TCGETS},
	{"ioctl", 1, all, unix.TCGETS2},
}

// loadFilter restricts all threads of the process, for ever, to the system calls
// above. Any other ends the process: nothing that compiles makes it, so the
// module has taken over, and its code must not get further.
func loadFilter() error {
	filter, err := newFilter()
	if err == nil {
		err = filter.Load()
	}
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}

func newFilter() (*seccomp.ScmpFilter, error) {
	// Kernels without an action that ends the process, and not only the thread,
	// are an error here. All threads are the library's default.
	filter, err := seccomp.NewFilter(seccomp.ActKillProcess)
	if err != nil {
		return nil, err
	}
	if err := filter.SetBadArchAction(seccomp.ActKillProcess); err != nil {
		return nil, err
	}
	for _, call := range allowedCalls {
		if err := addRule(filter, call, seccomp.ActAllow); err != nil {
			return nil, err
		}
	}
	for _, c := range allowedConditions {
		match, err := seccomp.MakeCondition(c.argument, seccomp.CompareMaskedEqual, c.mask, c.value)
		if err == nil {
			err = addRule(filter, c.call, seccomp.ActAllow, match)
		}
		if err != nil {
			return nil, err
		}
	}
	// A filter cannot see clone3's flags. Where there is none, libc uses clone.
	return filter, addRule(filter, "clone3", seccomp.ActErrno.SetReturnCode(int16(unix.ENOSYS)))
}

// addRule does nothing for a call that the library does not know.
func addRule(filter *seccomp.ScmpFilter, call string, action seccomp.ScmpAction, match ...seccomp.ScmpCondition) error {
	number, err := seccomp.GetSyscallFromName(call)
	if errors.Is(err, seccomp.ErrSyscallDoesNotExist) {
		return nil
	}
	if err == nil {
		err = filter.AddRuleConditional(number, action, match)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	return nil
}
