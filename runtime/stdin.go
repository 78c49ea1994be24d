// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// stdinRelay copies the client's FIFO to what the guest reads: a pipe or a
// terminal. The guest cannot read the FIFO itself: it would see its end before
// the client has opened it.
//
// From the guest's start on there is a writer here as well, so that it sees no end
// when its client goes away, and another one can be attached: that is for CloseIO to
// say. It has to be said until then: a client that closes its input before it knows of
// the task cannot call that (`echo text | ctr run`).
type stdinRelay struct {
	fifo *os.File
	to   io.WriteCloser

	mu     sync.Mutex
	closed bool     // keep opens nothing any more
	kept   *os.File // nil: not yet, or no more
}

// newStdinRelay returns nil for a guest without stdin. The client may open the FIFO
// later. Where it is copied to is to be set.
//
// Errors: NotFound, InvalidArgument: no FIFO.
func newStdinRelay(path string) (*stdinRelay, error) {
	if path == "" {
		return nil, nil
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("stdin %q: no such FIFO: %w", path, errdefs.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("stdin: %w", err)
	case info.Mode()&fs.ModeNamedPipe == 0:
		return nil, fmt.Errorf("stdin %q is not a FIFO: %w", path, errdefs.ErrInvalidArgument)
	}
	fifo, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("opening stdin: %w", err)
	}
	return &stdinRelay{fifo: fifo}, nil
}

// run ends with the FIFO's last writer, or with the guest.
func (s *stdinRelay) run() {
	if s.awaitWriter() == nil {
		_, _ = io.Copy(s.to, s.fifo)
	}
	s.close()
	s.to.Close()
}

// awaitWriter returns when somebody has written to the FIFO, or has opened and closed it:
// one that nobody has opened yet reads as if it were at its end.
func (s *stdinRelay) awaitWriter() error {
	conn, err := s.fifo.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Read(func(fd uintptr) bool { return polled(fd) != 0 })
}

// polled is what poll(2) says about the FIFO, which no client has to have opened.
func polled(fd uintptr) int16 {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 0); err != nil {
		return 0 // EINTR
	}
	return fds[0].Revents
}

// keep keeps the FIFO from ending, unless it has ended already.
func (s *stdinRelay) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.kept == nil {
		s.kept = s.openWriter(unix.POLLHUP)
	}
}

// closeIO ends the FIFO, after what its clients have written.
func (s *stdinRelay) closeIO() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.kept == nil {
		s.kept = s.openWriter(0) // for the end is seen after a writer only
	}
	s.letGo()
}

// openWriter returns nil if the FIFO is in one of the states unless, or is closed here.
func (s *stdinRelay) openWriter(unless int16) (w *os.File) {
	conn, err := s.fifo.SyscallConn()
	if err != nil {
		return nil
	}
	_ = conn.Control(func(fd uintptr) {
		if polled(fd)&unless != 0 {
			return
		}
		// Its name may be gone, or another's.
		w, _ = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_WRONLY|unix.O_NONBLOCK, 0)
	})
	return w
}

func (s *stdinRelay) letGo() {
	s.closed = true
	if s.kept != nil {
		s.kept.Close()
		s.kept = nil
	}
}

// close makes run end, and whoever writes to the FIFO fail.
func (s *stdinRelay) close() {
	s.fifo.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letGo()
}
