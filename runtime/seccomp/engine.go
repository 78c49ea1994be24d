// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// alwaysAllowed is what a guest's thread takes to go on and to end, beside the
// daemon's other threads. Without one of them it would wait for ever, keep a
// lock, or take the daemon along. None reaches a file, a process or a network
// that the thread does not have open; of memory, executable pages are denied by
// the jail's own filter.
var alwaysAllowed = []uint32{
	// Memory: of malloc, of the guest as it grows, of the stack's reserve after
	// an overflow, and all of it at the end.
	unix.SYS_BRK, unix.SYS_MMAP, unix.SYS_MREMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE,
	// Locks and waits of malloc, of the engine and of the thread's own news.
	unix.SYS_FUTEX, unix.SYS_SCHED_YIELD, unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ,
	// Signals: back from a handler, the mask and the stack at the end, and a call
	// that the kernel starts again after a stop.
	unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPROCMASK, unix.SYS_SIGALTSTACK, unix.SYS_RESTART_SYSCALL,
	// The engine's teardown, the thread's CPU time, its end.
	unix.SYS_CLOSE, unix.SYS_CLOSE_RANGE, unix.SYS_TIMER_DELETE, unix.SYS_CLOCK_GETTIME, unix.SYS_GETTID, unix.SYS_EXIT,
}

// allowEngine changes the decisions by call to those that the engine needs.
func (p *profile) allowEngine(g nodes, decided map[uint32]*node) {
	allow := g.leaf(unix.SECCOMP_RET_ALLOW)
	for _, number := range alwaysAllowed {
		decided[number] = allow
	}
	// A kill takes from the thread all calls that wait, with one more filter.
	prctl, ok := decided[unix.SYS_PRCTL]
	if !ok {
		prctl = g.leaf(p.unnamed(unix.SYS_PRCTL))
	}
	decided[unix.SYS_PRCTL] = g.test(low(0), bpf.JumpEqual, unix.PR_SET_SECCOMP, allow, prctl)
}
