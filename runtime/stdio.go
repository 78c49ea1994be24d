// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"

	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// openStdio turns what a client asks for into files of the guest.
//
// Errors: InvalidArgument; NotImplemented: a terminal, or a logger binary.
func openStdio(rio runtime.IO) (files [3]jail.File, stdin *stdinRelay, err error) {
	if rio.Terminal {
		return files, nil, fmt.Errorf("a terminal: runtime %s does not support it: %w", Name, errdefs.ErrNotImplemented)
	}
	for i, uri := range []string{rio.Stdout, rio.Stderr} {
		if files[1+i], err = output(uri); err != nil {
			return files, nil, err
		}
	}
	stdin, err = relayStdin(rio.Stdin)
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
// has opened it.
type stdinRelay struct {
	guest  *os.File // the guest opens its own, by path
	pipe   *os.File
	fifo   *os.File
	holder *os.File // keeps the FIFO from ending before CloseIO
}

// relayStdin returns nil for a guest without stdin.
//
// Errors: NotFound, InvalidArgument: no FIFO.
func relayStdin(path string) (_ *stdinRelay, err error) {
	if path == "" {
		return nil, nil
	}
	s := &stdinRelay{}
	defer func() {
		if err != nil {
			s.end()
		}
	}()
	// Neither waits: a reader need not have a writer, and then there is one.
	if s.fifo, err = openFIFO(path, unix.O_RDONLY); err != nil {
		return nil, err
	}
	if s.holder, err = openFIFO(path, unix.O_WRONLY); err != nil {
		return nil, err
	}
	if s.guest, s.pipe, err = os.Pipe(); err != nil {
		return nil, fmt.Errorf("a pipe for stdin: %w", err)
	}
	go func() {
		// It ends with the client's and our writing end, or with the guest.
		_, _ = io.Copy(s.pipe, s.fifo)
		s.pipe.Close()
	}()
	return s, nil
}

func openFIFO(path string, mode int) (*os.File, error) {
	f, err := os.OpenFile(path, mode|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("stdin %q: no such FIFO: %w", path, errdefs.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("opening stdin: %w", err)
	}
	if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		f.Close()
		return nil, fmt.Errorf("stdin %q is not a FIFO: %w", path, errdefs.ErrInvalidArgument)
	}
	return f, nil
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

// CloseIO lets the input end once the client has closed it: what is in the FIFO
// still reaches the guest. A nil relay has none.
func (s *stdinRelay) CloseIO() {
	if s != nil {
		s.holder.Close()
	}
}

// end is for a guest that is gone.
func (s *stdinRelay) end() {
	if s == nil {
		return
	}
	// A nil file answers with an error.
	for _, f := range []*os.File{s.holder, s.fifo, s.pipe, s.guest} {
		f.Close()
	}
}
