// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

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
//
// Errors: InvalidArgument; NotImplemented: a logger binary.
func output(uri string) (jail.File, error) {
	f := jail.File{Path: uri, Flags: unix.O_RDWR}
	if uri == "" || filepath.IsAbs(uri) {
		return f, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return jail.File{}, fmt.Errorf("output %q: %w: %w", uri, err, errdefs.ErrInvalidArgument)
	}
	f.Path = u.Path
	switch u.Scheme {
	case "", "fifo":
	case "file":
		f.Flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT
	default:
		return jail.File{}, fmt.Errorf("output %q: runtime %s writes to FIFOs and files only: %w", uri, Name, errdefs.ErrNotImplemented)
	}
	if !filepath.IsAbs(f.Path) {
		return jail.File{}, fmt.Errorf("output %q is not an absolute path: %w", uri, errdefs.ErrInvalidArgument)
	}
	return f, nil
}

// stdinRelay copies the client's FIFO into a pipe that the guest reads. The
// guest cannot read the FIFO itself: it would see its end before the client
// has opened it.
type stdinRelay struct {
	path  string   // of the FIFO
	guest *os.File // the guest opens its own, by path
	pipe  *os.File
	fifo  io.ReadCloser
}

// relayStdin returns nil for a guest without stdin.
//
// Errors: NotFound, InvalidArgument: no FIFO.
func relayStdin(ctx context.Context, path string) (*stdinRelay, error) {
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
	// Opens in the background: the client may come later.
	f, err := fifo.OpenFifo(context.WithoutCancel(ctx), path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening stdin: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("a pipe for stdin: %w", err)
	}
	s := &stdinRelay{path: path, guest: r, pipe: w, fifo: f}
	go func() {
		// It ends with the FIFO's last writer, or with the guest.
		_, _ = io.Copy(w, f)
		s.end()
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

// CloseIO lets the guest see the end of its input, after what clients have
// written: the FIFO ends when its last writer has closed it, which is this one
// if there is no other. A nil relay has none.
func (s *stdinRelay) CloseIO() {
	if s == nil {
		return
	}
	// It fails if the FIFO, or the relay, is gone.
	if fd, err := unix.Open(s.path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
		unix.Close(fd)
	}
}

// end is for a guest that is gone, or has had all its input.
func (s *stdinRelay) end() {
	if s == nil {
		return
	}
	s.fifo.Close()
	s.pipe.Close()
}
