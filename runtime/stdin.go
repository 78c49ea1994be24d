// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/containerd/errdefs"
	"github.com/containerd/fifo"
	"golang.org/x/sys/unix"
)

// openStdin opens the client's FIFO in the background: the client may come later.
// It returns nil for a guest without stdin.
//
// Errors: NotFound, InvalidArgument: no FIFO.
func openStdin(ctx context.Context, path string) (io.ReadCloser, error) {
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
	f, err := fifo.OpenFifo(context.WithoutCancel(ctx), path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening stdin: %w", err)
	}
	return f, nil
}

// stdinRelay copies the client's FIFO to what the guest reads: a pipe or a
// terminal. The guest cannot read the FIFO itself: it would see its end before
// the client has opened it.
type stdinRelay struct {
	path string // of the FIFO
	fifo io.ReadCloser
	to   io.WriteCloser
}

// run ends with the FIFO's last writer, or with the guest.
func (s *stdinRelay) run() {
	_, _ = io.Copy(s.to, s.fifo)
	s.fifo.Close()
	s.to.Close()
}
