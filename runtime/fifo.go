// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/containerd/containerd/v2/core/runtime"
	"golang.org/x/sys/unix"
)

// turns are how often awaitEmpty looks at least before it gives up: where time passes
// without them, a client has none either.
const turns = 100

// awaitEmpty waits until a FIFO is empty, as long as somebody has it open for reading and
// takes something every now and then. It returns at once for what is no FIFO.
func awaitEmpty(ctx context.Context, path string, patience time.Duration) {
	// Without a reader this fails, and the output is gone.
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return
	}
	// Most clients have it at once. Hundreds of guests that wait must not take the
	// processors that their clients need.
	const soon, late = 100 * time.Microsecond, 5 * time.Millisecond
	left, since, pause := 0, time.Now(), soon
	for turn := 0; ; turn++ {
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		if err != nil || n == 0 || !hasReader(fd) {
			return
		}
		if n != left {
			left, since, pause, turn = n, time.Now(), soon, 0
		}
		if time.Since(since) > patience && turn >= turns {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, late)
		}
	}
}

// hasReader is for the writing end of a FIFO (pipe_poll in the kernel).
func hasReader(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	_, err := unix.Poll(fds, 0)
	return err != nil || fds[0].Revents&unix.POLLERR == 0
}

// readerTime is how long a guest is not made while its client has not opened its output.
const readerTime = 2 * time.Second

// awaitReaders waits until the FIFOs of a guest's output are open for reading, or
// for readerTime. Clients open them in the background before they ask for a guest,
// and one that is short may be over before that: its output would be lost, and a
// client wait for ever. done is to be called when the guest has opened its own ends:
// between two writers a reader would see the end.
func awaitReaders(ctx context.Context, rio runtime.IO) (done func()) {
	ctx, cancel := context.WithTimeout(ctx, readerTime)
	defer cancel()
	var held []int
	for _, uri := range []string{rio.Stdout, rio.Stderr} {
		if f, err := output(uri); err == nil && f.Path != "" && f.Flags == unix.O_RDWR {
			held = append(held, awaitReader(ctx, f.Path)...)
		}
	}
	return func() {
		for _, fd := range held {
			unix.Close(fd)
		}
	}
}

// awaitReader returns nothing for what is no FIFO, or has no reader in time.
func awaitReader(ctx context.Context, path string) (held []int) {
	for {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err == nil {
			return []int{fd}
		}
		if !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.EINTR) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Millisecond):
		}
	}
}
