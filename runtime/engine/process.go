// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/osthread"
)

const maxStderr = 1 << 10 // bytes of what a child says that are logged

// childCommand prepares the child. It dies with the thread that starts it, and
// whatever it may have started dies with it, because it is its pid namespace's
// first process.
func childCommand(ctx context.Context, dir, arg string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{compileArg0, arg}
	cmd.Env = []string{} // nil would be ours
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Pdeathsig:  syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC,
	}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// runChild runs one child to its end and judges how it ended. It returns what
// the child says of the code that it left in scratch.
func (e *Engine) runChild(ctx context.Context, img *image, scratch *scratch, wall time.Duration, j job) (header, error) {
	arg, err := json.Marshal(j)
	if err != nil {
		return header{}, unavailable(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return header{}, unavailable(err)
	}
	defer out.Close()
	defer in.Close()

	timed, cancel := context.WithTimeout(ctx, wall)
	defer cancel()
	stderr := &head{max: maxStderr}
	cmd := childCommand(timed, scratch.path(), string(arg))
	cmd.ExtraFiles = []*os.File{moduleFD - 3: img.file, answerFD - 3: in}
	cmd.Stderr = stderr

	var reply []byte
	err = onOwnThread(func() error {
		if err := cmd.Start(); err != nil {
			return unavailable(err)
		}
		in.Close() // so that the pipe ends with the child
		// Errors of reading show as an answer that does not decode.
		reply, _ = io.ReadAll(io.LimitReader(out, maxAnswer+1))
		out.Close() // so that a child that says too much does not block
		return cmd.Wait()
	})
	switch {
	case errdefs.IsUnavailable(err):
		return header{}, err
	case ctx.Err() != nil:
		return header{}, errClosed
	case timed.Err() != nil && j.Idle:
		// It may have waited for a processor all the time.
		return header{}, unavailable(fmt.Errorf("the compiler did not end within %v", wall))
	case timed.Err() != nil:
		return header{}, fmt.Errorf("took longer to compile than compile_timeout (%v): raise it in the engine's configuration, or make the module smaller: %w",
			e.cfg.CompileTimeout, errdefs.ErrResourceExhausted)
	case err != nil:
		log.G(ctx).WithError(err).WithField("module", img.digest).WithField("stderr", stderr.String()).Warn("compiler ended abnormally")
		return header{}, e.explain(crash{err, cmd.ProcessState, stderr.String()}, scratch, j)
	}
	return judge(reply)
}

// judge reads the answer of a child that ended normally.
func judge(reply []byte) (header, error) {
	a, err := decodeAnswer(reply)
	switch {
	case err != nil:
		return header{}, fmt.Errorf("could not be compiled: %w: %w", err, errdefs.ErrInternal)
	case a.Failed != "":
		return header{}, unavailable(errors.New(a.Failed))
	case a.Refused != "":
		return header{}, fmt.Errorf("%s: %w", a.Refused, errdefs.ErrInvalidArgument)
	case a.Exceeds != "":
		return header{}, fmt.Errorf("%s: %w", a.Exceeds, errdefs.ErrResourceExhausted)
	}
	return *a.Loaded, nil
}

// onOwnThread calls f on a thread that nothing else ever uses. The thread has
// no_new_privs set, which what f starts inherits for all its threads, and which
// cannot be undone; and it must outlive what f starts, because Pdeathsig means
// the death of the thread. Go does not derive other threads from one that is locked.
func onOwnThread(f func() error) (err error) {
	osthread.Do(func() {
		if err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			err = unavailable(err)
			return
		}
		err = f()
	})
	return err
}

// head keeps the first max bytes written to it.
type head struct {
	strings.Builder
	max int
}

func (h *head) Write(b []byte) (int, error) {
	h.Builder.Write(b[:min(len(b), h.max-h.Len())])
	return len(b), nil
}
