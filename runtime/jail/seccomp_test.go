// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"bytes"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"golang.org/x/sys/unix"
)

// deniedCalls are those that no guest may make, whatever the arguments. They are written
// down here once more: that one is missing in seccomp.c is what the test is for.
var deniedCalls = map[string]uintptr{
	// Signals to others, and what others have.
	"kill": unix.SYS_KILL, "tkill": unix.SYS_TKILL, "tgkill": unix.SYS_TGKILL,
	"rt_sigqueueinfo": unix.SYS_RT_SIGQUEUEINFO, "rt_tgsigqueueinfo": unix.SYS_RT_TGSIGQUEUEINFO,
	"pidfd_open": unix.SYS_PIDFD_OPEN, "pidfd_getfd": unix.SYS_PIDFD_GETFD, "pidfd_send_signal": unix.SYS_PIDFD_SEND_SIGNAL,
	"ptrace": unix.SYS_PTRACE, "process_vm_readv": unix.SYS_PROCESS_VM_READV, "process_vm_writev": unix.SYS_PROCESS_VM_WRITEV,
	"process_madvise": unix.SYS_PROCESS_MADVISE, "kcmp": unix.SYS_KCMP, "setpgid": unix.SYS_SETPGID, "setsid": unix.SYS_SETSID,
	"setpriority": unix.SYS_SETPRIORITY, "ioprio_set": unix.SYS_IOPRIO_SET, "sched_setaffinity": unix.SYS_SCHED_SETAFFINITY,
	"sched_setattr": unix.SYS_SCHED_SETATTR, "sched_setparam": unix.SYS_SCHED_SETPARAM, "sched_setscheduler": unix.SYS_SCHED_SETSCHEDULER,
	// Programs and processes.
	"execve": unix.SYS_EXECVE, "execveat": unix.SYS_EXECVEAT, "exit_group": unix.SYS_EXIT_GROUP,
	// What the daemon's threads share.
	"rt_sigaction": unix.SYS_RT_SIGACTION, "setrlimit": unix.SYS_SETRLIMIT, "prlimit64": unix.SYS_PRLIMIT64,
	"setitimer": unix.SYS_SETITIMER, "timer_create": unix.SYS_TIMER_CREATE, "mlockall": unix.SYS_MLOCKALL, "munlockall": unix.SYS_MUNLOCKALL,
	"personality": unix.SYS_PERSONALITY, "userfaultfd": unix.SYS_USERFAULTFD, "membarrier": unix.SYS_MEMBARRIER,
	// Ways out of the jail.
	"pivot_root": unix.SYS_PIVOT_ROOT, "open_tree_attr": unix.SYS_OPEN_TREE_ATTR, "mount": unix.SYS_MOUNT, "umount2": unix.SYS_UMOUNT2, "fspick": unix.SYS_FSPICK,
	"setuid": unix.SYS_SETUID, "setgid": unix.SYS_SETGID, "setreuid": unix.SYS_SETREUID, "setregid": unix.SYS_SETREGID,
	"setfsuid": unix.SYS_SETFSUID, "setfsgid": unix.SYS_SETFSGID, "seccomp": unix.SYS_SECCOMP,
	"name_to_handle_at": unix.SYS_NAME_TO_HANDLE_AT, "open_by_handle_at": unix.SYS_OPEN_BY_HANDLE_AT, "mknodat": unix.SYS_MKNODAT,
	// The kernel, and the whole machine.
	"bpf": unix.SYS_BPF, "perf_event_open": unix.SYS_PERF_EVENT_OPEN, "io_uring_setup": unix.SYS_IO_URING_SETUP,
	"io_uring_enter": unix.SYS_IO_URING_ENTER, "io_uring_register": unix.SYS_IO_URING_REGISTER, "keyctl": unix.SYS_KEYCTL,
	"add_key": unix.SYS_ADD_KEY, "request_key": unix.SYS_REQUEST_KEY, "init_module": unix.SYS_INIT_MODULE,
	"finit_module": unix.SYS_FINIT_MODULE, "delete_module": unix.SYS_DELETE_MODULE, "kexec_load": unix.SYS_KEXEC_LOAD,
	"kexec_file_load": unix.SYS_KEXEC_FILE_LOAD, "shmat": unix.SYS_SHMAT, "reboot": unix.SYS_REBOOT, "swapon": unix.SYS_SWAPON,
	"swapoff": unix.SYS_SWAPOFF, "acct": unix.SYS_ACCT, "quotactl": unix.SYS_QUOTACTL, "syslog": unix.SYS_SYSLOG,
	"vhangup": unix.SYS_VHANGUP, "fanotify_init": unix.SYS_FANOTIFY_INIT, "lookup_dcookie": unix.SYS_LOOKUP_DCOOKIE,
	"setdomainname": unix.SYS_SETDOMAINNAME, "settimeofday": unix.SYS_SETTIMEOFDAY, "clock_settime": unix.SYS_CLOCK_SETTIME,
	"clock_adjtime": unix.SYS_CLOCK_ADJTIME, "adjtimex": unix.SYS_ADJTIMEX, "mbind": unix.SYS_MBIND,
	"migrate_pages": unix.SYS_MIGRATE_PAGES, "move_pages": unix.SYS_MOVE_PAGES,
}

// attempts makes system calls on a thread with the filter of all guests, and returns the
// errors.
func attempts(t *testing.T, program string, calls ...[7]uintptr) []unix.Errno {
	t.Helper()
	var in, stderr bytes.Buffer
	for _, c := range calls {
		for _, n := range c {
			fmt.Fprintf(&in, "%d ", int64(n))
		}
		in.WriteByte('\n')
	}
	cmd := exec.Command(program)
	cmd.Stdin, cmd.Stderr = &in, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, stderr.String())
	}
	var errs []unix.Errno
	for line := range strings.Lines(string(out)) {
		var errno unix.Errno
		if _, err := fmt.Sscan(line, &errno); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		errs = append(errs, errno)
	}
	if len(errs) != len(calls) {
		t.Fatalf("made %d of %d calls: %s", len(errs), len(calls), stderr.String())
	}
	return errs
}

// Root may make all of these calls, so that only the filter denies them.
func TestFilterOfAllGuests(t *testing.T) {
	testutil.RequiresRoot(t)
	program := part(t, "seccomp")
	for name, number := range deniedCalls {
		if got := attempts(t, program, [7]uintptr{number})[0]; got != unix.EPERM {
			t.Errorf("%s: %d, %v", name, got, got)
		}
	}
	const (
		readwrite  = unix.PROT_READ | unix.PROT_WRITE
		executable = unix.PROT_READ | unix.PROT_EXEC
		private    = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
		none       = ^uintptr(0)
		x32        = 0x40000000
	)
	socket := [7]uintptr{unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM} // is the first that is open: 3
	const fd = 3
	for _, tc := range []struct {
		name string
		want unix.Errno
		call [7]uintptr
	}{
		{"a process", unix.EPERM, [7]uintptr{unix.SYS_CLONE, uintptr(unix.SIGCHLD)}},
		{"a process that shares memory", unix.EPERM, [7]uintptr{unix.SYS_CLONE, unix.CLONE_VM | unix.CLONE_VFORK}},
		{"clone3", unix.ENOSYS, [7]uintptr{unix.SYS_CLONE3}},
		{"executable memory", unix.EPERM, [7]uintptr{unix.SYS_MMAP, 0, 4096, executable, private, none}},
		{"memory", 0, [7]uintptr{unix.SYS_MMAP, 0, 4096, readwrite, private, none}},
		{"code", unix.EPERM, [7]uintptr{unix.SYS_MPROTECT, 4096, 0, executable}},
		{"code with a key", unix.EPERM, [7]uintptr{unix.SYS_PKEY_MPROTECT, 4096, 0, executable, none}},
		{"no code", 0, [7]uintptr{unix.SYS_MPROTECT, 4096, 0, readwrite}},
		{"linger", unix.EPERM, [7]uintptr{unix.SYS_SETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_LINGER}},
		{"another option", unix.EFAULT, [7]uintptr{unix.SYS_SETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0, 4}},
		{"an option of TCP with that number", unix.EFAULT, [7]uintptr{unix.SYS_SETSOCKOPT, fd, unix.IPPROTO_TCP, unix.SO_LINGER, 0, 4}},
		// What guests need.
		{"read", unix.EBADF, [7]uintptr{unix.SYS_READ, none}},
		{"write", unix.EBADF, [7]uintptr{unix.SYS_WRITE, none}},
		{"openat", unix.EFAULT, [7]uintptr{unix.SYS_OPENAT, none}},
		{"close", unix.EBADF, [7]uintptr{unix.SYS_CLOSE, none}},
		{"getdents64", unix.EBADF, [7]uintptr{unix.SYS_GETDENTS64, none}},
		{"epoll_create1", 0, [7]uintptr{unix.SYS_EPOLL_CREATE1}},
		{"epoll_pwait", unix.EBADF, [7]uintptr{unix.SYS_EPOLL_PWAIT, none, 0, 1}},
		{"timerfd_create", 0, [7]uintptr{unix.SYS_TIMERFD_CREATE}},
		{"accept", unix.EBADF, [7]uintptr{unix.SYS_ACCEPT, none}},
		{"recvmsg", unix.EBADF, [7]uintptr{unix.SYS_RECVMSG, none}},
		{"getrandom", 0, [7]uintptr{unix.SYS_GETRANDOM}},
		{"clock_gettime", unix.EFAULT, [7]uintptr{unix.SYS_CLOCK_GETTIME}},
		{"futex", unix.EFAULT, [7]uintptr{unix.SYS_FUTEX, 0, 1}},
		// What a jail is made with.
		{"unshare", 0, [7]uintptr{unix.SYS_UNSHARE}},
		{"setns", unix.EBADF, [7]uintptr{unix.SYS_SETNS, none}},
		{"chroot", unix.EFAULT, [7]uintptr{unix.SYS_CHROOT}},
		{"open_tree", unix.EFAULT, [7]uintptr{unix.SYS_OPEN_TREE, none}},
		{"setresuid", 0, [7]uintptr{unix.SYS_SETRESUID, none, none, none}},
		{"capset", unix.EFAULT, [7]uintptr{unix.SYS_CAPSET}},
	} {
		if got := attempts(t, program, socket, tc.call)[1]; got != tc.want {
			t.Errorf("%s: %d, %v, want %v", tc.name, got, got, tc.want)
		}
	}
	if runtime.GOARCH == "amd64" {
		if got := attempts(t, program, [7]uintptr{x32 | unix.SYS_GETPID})[0]; got != unix.EPERM {
			t.Errorf("a call of the x32 ABI: %v", got)
		}
		if got := attempts(t, program, [7]uintptr{none})[0]; got != unix.EPERM {
			t.Errorf("a call of the 32-bit ABI: %v", got)
		}
	}
}
