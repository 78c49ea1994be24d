// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// forbidden are attempts of a compiler child that was taken over. call makes a
// system call with zeros for the arguments that are not given.
var forbidden = map[string]func(){
	"socket":            func() { unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0) },
	"exec":              func() { os.StartProcess("/x", nil, &os.ProcAttr{}) },
	"execve":            func() { unix.Exec("/", nil, nil) },
	"new process":       func() { call(unix.SYS_CLONE, uintptr(unix.SIGCHLD)) },
	"ptrace":            func() { unix.PtraceAttach(1) },
	"kill":              func() { unix.Kill(-1, 0) },
	"signal to another": func() { unix.Tgkill(2, 2, 0) },
	"executable memory": func() {
		call(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	},
	"writable code": func() { unix.Mprotect(make([]byte, 4096), unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC) },
	"memory file":   func() { unix.MemfdCreate("x", 0) },
	"other memory":  func() { call(unix.SYS_PROCESS_VM_WRITEV, 1) },
	"life without parent": func() {
		unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0)
	},
	"root":        func() { unix.Chroot("/") },
	"user":        func() { unix.Setuid(0) },
	"namespace":   func() { unix.Unshare(unix.CLONE_NEWUSER) },
	"mount":       func() { unix.Mount("none", "/", "tmpfs", 0, "") },
	"bpf":         func() { call(unix.SYS_BPF) },
	"io_uring":    func() { call(unix.SYS_IO_URING_SETUP, 1) },
	"keys":        func() { call(unix.SYS_KEYCTL) },
	"perf":        func() { call(unix.SYS_PERF_EVENT_OPEN) },
	"user faults": func() { call(unix.SYS_USERFAULTFD) },
	"limits":      func() { unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) },
	"link":        func() { os.Symlink("/etc/passwd", outName) },
	"device":      func() { unix.Mknodat(unix.AT_FDCWD, outName, unix.S_IFIFO, 0) },
	"terminal":    func() { unix.IoctlSetInt(answerFD, unix.TIOCSTI, 0) },
}

func call(number uintptr, args ...uintptr) {
	var a [4]uintptr
	copy(a[:], args)
	unix.RawSyscall6(number, a[0], a[1], a[2], a[3], 0, 0)
}

const (
	onThisThread  = "forbidden here: "
	onOtherThread = "forbidden there: "
)

// tryForbidden makes one of the forbidden calls, on the thread that loads the
// filter or on one that was there before.
func (c takenOver) tryForbidden(name string) {
	proceed, ready, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(ready)
		<-proceed
		if name, ok := strings.CutPrefix(name, onOtherThread); ok {
			forbidden[name]()
		}
		close(done)
	}()
	<-ready
	if err := restrict(c.job); err != nil {
		c.fail(err)
	}
	close(proceed)
	<-done
	if name, ok := strings.CutPrefix(name, onThisThread); ok {
		forbidden[name]()
	}
	c.refuse("was not stopped")
}

func TestForbiddenCallsEndTheChild(t *testing.T) {
	cfg := testConfig(t)
	for name := range forbidden {
		for _, thread := range []string{onThisThread, onOtherThread} {
			err := loadMisbehaving(t, cfg, thread+name)
			if !errdefs.IsInternal(err) || !strings.Contains(err.Error(), `module "app.wasm" made the compiler try a system call that it is not allowed`) {
				t.Errorf("%s%s: %v", thread, name, err)
			}
		}
	}
}
