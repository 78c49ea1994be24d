// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal (pty(7)). The guest has the slave as fds 0, 1 and
// 2. This process has the master, and copies what comes from it to the client:
//
//	client's FIFO --> keyboard ---> master [ line discipline ] slave --> guest
//	client's FIFO <-- copyOutput -- master [                 ] slave <-- guest
type terminal struct {
	master *os.File
	out    *os.File // nil: output is thrown away
	ended  atomic.Bool
	copied chan struct{} // after begin: closed when all output is with the client, or lost
}

// drainTime is how long a client has to take what a guest that is gone has left.
const drainTime = 2 * time.Second

// openTerminal makes a terminal whose output goes to uri (see output). Either
// close follows, or begin and end.
//
// Errors: those of output; NotFound: no such FIFO; ResourceExhausted: the host
// has no more terminals.
func openTerminal(uri string) (t *terminal, slave *os.File, err error) {
	t = &terminal{}
	if t.out, err = openOutput(uri); err != nil {
		return nil, nil, err
	}
	if t.master, slave, err = openPty(); err != nil {
		t.close()
		return nil, nil, err
	}
	return t, slave, nil
}

func openOutput(uri string) (*os.File, error) {
	f, err := output(uri)
	if err != nil || f.Path == "" {
		return nil, err
	}
	out, err := os.OpenFile(f.Path, f.Flags|unix.O_NONBLOCK|unix.O_NOCTTY, 0o644)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("output %q: no such FIFO: %w", uri, errdefs.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("output: %w", err)
	}
	return out, nil
}

// openPty makes a pair. Neither end becomes this process's controlling terminal.
func openPty() (master, slave *os.File, err error) {
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := unix.Open("/dev/ptmx", flags|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.ENOSPC):
		return nil, nil, fmt.Errorf("the host has no more terminals: raise kernel.pty.max: %w: %w", err, errdefs.ErrResourceExhausted)
	case err != nil:
		return nil, nil, fmt.Errorf("opening /dev/ptmx: %w: %w", err, errdefs.ErrFailedPrecondition)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		master.Close()
		return nil, nil, fmt.Errorf("unlocking a terminal: %w", err)
	}
	// Not by its name, which may be another one's in what is mounted on /dev/pts.
	peer, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, flags)
	if errno != 0 {
		master.Close()
		return nil, nil, fmt.Errorf("opening a terminal: %w", errno)
	}
	return master, os.NewFile(peer, "terminal"), nil
}

func (t *terminal) begin() {
	t.copied = make(chan struct{})
	go func() {
		defer close(t.copied)
		t.copyOutput()
		t.close()
	}()
}

// copyOutput ends when nobody has the slave any more: reading fails then. A client
// that takes nothing more does not stop the guest.
func (t *terminal) copyOutput() {
	master := masterReader{t.master}
	if t.out != nil {
		_, _ = io.Copy(struct{ io.Writer }{t}, master)
	}
	_, _ = io.Copy(io.Discard, master)
}

// masterReader reads what the guest wrote, to the end. The kernel looks for output
// before it looks whether the other end is closed (n_tty_read), and fails with EIO also
// if a guest has written, and is gone, in between: the next read has the output.
type masterReader struct{ master *os.File }

func (r masterReader) Read(b []byte) (int, error) {
	n, err := r.master.Read(b)
	if errors.Is(err, unix.EIO) {
		return r.master.Read(b)
	}
	return n, err
}

// Write passes output on to the client.
func (t *terminal) Write(b []byte) (int, error) {
	if t.ended.Load() {
		t.limitWrite()
	}
	return t.out.Write(b)
}

// limitWrite fails for a regular file, which takes all.
func (t *terminal) limitWrite() { _ = t.out.SetWriteDeadline(time.Now().Add(drainTime)) }

// end is for a guest that is gone.
func (t *terminal) end() {
	t.ended.Store(true)
	if t.out != nil {
		t.limitWrite()
	}
}

// wait returns when all output was passed on, after end.
func (t *terminal) wait(ctx context.Context) error {
	select {
	case <-t.copied:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for a terminal's output: %w", context.Cause(ctx))
	}
}

// isTaken waits for a limited time, after end, and says whether all output was passed on.
func (t *terminal) isTaken(limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return t.wait(ctx) == nil
}

func (t *terminal) close() {
	for _, f := range []*os.File{t.master, t.out} {
		if f != nil {
			f.Close()
		}
	}
}

// control calls f with the master.
//
// Errors: FailedPrecondition: the terminal is closed.
func (t *terminal) control(f func(fd int) error) error {
	conn, err := t.master.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return fmt.Errorf("it is gone: %w: %w", err, errdefs.ErrFailedPrecondition)
	}
	return failed
}

// Errors: FailedPrecondition: the terminal is closed; InvalidArgument.
func (t *terminal) resize(columns, rows uint64) error {
	if columns > math.MaxUint16 || rows > math.MaxUint16 {
		return fmt.Errorf("%d columns and %d rows: the kernel has 16 bits for each: %w", columns, rows, errdefs.ErrInvalidArgument)
	}
	return t.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: uint16(rows)})
	})
}
