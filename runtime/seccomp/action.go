// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// An action is SECCOMP_RET_* as runc would give it to the kernel, to tell which
// actions of a profile are the same.
type action uint32

// maxErrno is the kernel's MAX_ERRNO.
const maxErrno = 4095

// newAction reads an action of a profile. Its errno counts for two of them; it is
// EPERM if there is none.
func newAction(a specs.LinuxSeccompAction, errno *uint) (action, error) {
	number := uint(unix.EPERM)
	if errno != nil && (a == specs.ActErrno || a == specs.ActTrace) {
		number = *errno
	}
	if number > maxErrno {
		return 0, fmt.Errorf("errno %d: the largest is %d: %w", number, maxErrno, errdefs.ErrInvalidArgument)
	}
	switch a {
	case specs.ActKill, specs.ActKillThread:
		return unix.SECCOMP_RET_KILL_THREAD, nil
	case specs.ActKillProcess:
		return unix.SECCOMP_RET_KILL_PROCESS, nil
	case specs.ActTrap:
		return unix.SECCOMP_RET_TRAP, nil
	case specs.ActErrno:
		if number == 0 {
			return 0, fmt.Errorf("errno 0: a call that is denied cannot look successful to a guest: %w", errdefs.ErrNotImplemented)
		}
		return unix.SECCOMP_RET_ERRNO | action(number), nil
	case specs.ActTrace:
		return unix.SECCOMP_RET_TRACE | action(number), nil
	case specs.ActLog:
		return unix.SECCOMP_RET_LOG, nil
	case specs.ActAllow:
		return unix.SECCOMP_RET_ALLOW, nil
	case specs.ActNotify:
		return 0, fmt.Errorf("action %s: guests have no seccomp agent: %w", a, errdefs.ErrNotImplemented)
	default:
		return 0, fmt.Errorf("action %.64q is unknown: %w", a, errdefs.ErrInvalidArgument)
	}
}

// permissive says whether calls that a profile does not know are left to the
// kernel, or to a tracer.
func (a action) permissive() bool {
	switch a & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_TRACE:
		return true
	}
	return false
}

// onGuest is what the kernel is told instead, for a thread of the daemon.
func (a action) onGuest() uint32 {
	switch a & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_KILL_PROCESS, unix.SECCOMP_RET_KILL_THREAD:
		return unix.SECCOMP_RET_TRAP
	case unix.SECCOMP_RET_TRACE:
		return unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	case unix.SECCOMP_RET_ERRNO:
		if !wasiHas(unix.Errno(a & unix.SECCOMP_RET_DATA)) {
			return denied
		}
	}
	return uint32(a)
}

// denied is the answer to what no profile decides.
const denied = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)

// wasiHas says whether WASI has a name for an errno. WasmEdge 0.14 ends the
// process over any other (lib/host/wasi/linux.h), and a guest could not be told.
func wasiHas(errno unix.Errno) bool {
	switch errno {
	case unix.E2BIG, unix.EACCES, unix.EADDRINUSE, unix.EADDRNOTAVAIL, unix.EAFNOSUPPORT, unix.EAGAIN,
		unix.EALREADY, unix.EBADF, unix.EBADMSG, unix.EBUSY, unix.ECANCELED, unix.ECHILD,
		unix.ECONNABORTED, unix.ECONNREFUSED, unix.ECONNRESET, unix.EDEADLK, unix.EDESTADDRREQ,
		unix.EDOM, unix.EDQUOT, unix.EEXIST, unix.EFAULT, unix.EFBIG, unix.EHOSTUNREACH, unix.EIDRM,
		unix.EILSEQ, unix.EINPROGRESS, unix.EINTR, unix.EINVAL, unix.EIO, unix.EISCONN, unix.EISDIR,
		unix.ELOOP, unix.EMFILE, unix.EMLINK, unix.EMSGSIZE, unix.EMULTIHOP, unix.ENAMETOOLONG,
		unix.ENETDOWN, unix.ENETRESET, unix.ENETUNREACH, unix.ENFILE, unix.ENOBUFS, unix.ENODEV,
		unix.ENOENT, unix.ENOEXEC, unix.ENOLCK, unix.ENOLINK, unix.ENOMEM, unix.ENOMSG,
		unix.ENOPROTOOPT, unix.ENOSPC, unix.ENOSYS, unix.ENOTCONN, unix.ENOTDIR, unix.ENOTEMPTY,
		unix.ENOTRECOVERABLE, unix.ENOTSOCK, unix.ENOTSUP, unix.ENOTTY, unix.ENXIO, unix.EOVERFLOW,
		unix.EOWNERDEAD, unix.EPERM, unix.EPIPE, unix.EPROTO, unix.EPROTONOSUPPORT, unix.EPROTOTYPE,
		unix.ERANGE, unix.EROFS, unix.ESPIPE, unix.ESRCH, unix.ESTALE, unix.ETIMEDOUT, unix.ETXTBSY,
		unix.EXDEV:
		return true
	}
	return false
}
