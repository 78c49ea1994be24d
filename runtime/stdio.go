// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"syscall"

	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
	"github.com/containerd/fifo"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// openStdio turns what a client asks for into files of the guest.
//
// Errors: InvalidArgument; NotImplemented: a terminal, or a logger binary.
func openStdio(ctx context.Context, rio runtime.IO) (files [3]jail.File, stdin *stdinRelay, err error) {
	if rio.Terminal {
		return files, nil, fmt.Errorf("a terminal: runtime %s does not support it: %w", Name, errdefs.ErrNotImplemented)
	}
	for i, uri := range []string{rio.Stdout, rio.Stderr} {
		if files[1+i], err = output(uri); err != nil {
			return files, nil, err
		}
	}
	stdin, err = relayStdin(ctx, rio.Stdin)
	if stdin != nil {
		files[0] = stdin.file()
	}
	return files, stdin, err
}

// output is a FIFO, named by its path, or what a log URI names. A FIFO is
// opened for reading as well: that neither waits for a reader nor fails when
// the reader goes away, as a shim would have it. The guest has no right to
// read it.
func output(uri string) (jail.File, error) {
	if uri == "" {
		return jail.File{}, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return jail.File{}, fmt.Errorf("output %q: %w: %w", uri, err, errdefs.ErrInvalidArgument)
	}
	switch u.Scheme {
	case "", "fifo":
		return jail.File{Path: u.Path, Flags: unix.O_RDWR}, nil
	case "file":
		return jail.File{Path: u.Path, Flags: unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT}, nil
	default:
		return jail.File{}, fmt.Errorf("output %q: runtime %s writes to FIFOs and files only: %w", uri, Name, errdefs.ErrNotImplemented)
	}
}

// stdinRelay copies the client's FIFO into a pipe that the guest reads. The
// guest cannot read the FIFO itself: it would see its end before the client
// has opened it, and could not be told of CloseIO.
type stdinRelay struct {
	guest *os.File // the guest opens its own, by path
	pipe  *os.File
	fifo  io.ReadCloser
	once  sync.Once
}

// relayStdin returns nil for a guest without stdin.
func relayStdin(ctx context.Context, path string) (*stdinRelay, error) {
	if path == "" {
		return nil, nil
	}
	// Opens in the background: the client may come later.
	f, err := fifo.OpenFifo(context.WithoutCancel(ctx), path, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening stdin %q: %w", path, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("a pipe for stdin: %w", err)
	}
	s := &stdinRelay{guest: r, pipe: w, fifo: f}
	go func() {
		// It ends with the client, with CloseIO, or with the guest.
		_, _ = io.Copy(w, f)
		s.Close()
	}()
	return s, nil
}

// file is how a guest opens its end: /proc/self is this process for it.
func (s *stdinRelay) file() jail.File {
	return jail.File{Path: fmt.Sprintf("/proc/self/fd/%d", s.guest.Fd()), Flags: unix.O_RDONLY}
}

// opened is called once the guest has its end, so that writing fails when the
// guest is gone.
func (s *stdinRelay) opened() {
	if s != nil {
		s.guest.Close()
	}
}

// Close ends the guest's input. A nil relay has none.
func (s *stdinRelay) Close() {
	if s == nil {
		return
	}
	s.once.Do(func() {
		s.fifo.Close()
		s.pipe.Close()
	})
}
