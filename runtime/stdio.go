// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// stdio connects fds 0, 1 and 2 of a guest with what its client asked for.
type stdio struct {
	io       runtime.IO
	files    [3]jail.File // what the guest opens
	lent     *os.File     // the guest's end of the pipe or terminal, until it has opened its own; or nil
	stdin    *stdinRelay  // nil: none
	terminal *terminal    // nil: none
}

// openStdio opens what this process needs of it. Either abandon follows, or begin
// and end.
//
// Errors: InvalidArgument; NotFound: no such FIFO; NotImplemented: a logger
// binary; ResourceExhausted: no more terminals.
func openStdio(p *specs.Process, rio runtime.IO) (s *stdio, err error) {
	s = &stdio{io: rio}
	if rio.Terminal {
		err = s.openTerminal(p.ConsoleSize)
	} else {
		err = s.openPipes()
	}
	if err != nil {
		s.abandon()
		return nil, err
	}
	return s, nil
}

func (s *stdio) openPipes() (err error) {
	for i, uri := range []string{s.io.Stdout, s.io.Stderr} {
		if s.files[1+i], err = output(uri); err != nil {
			return err
		}
	}
	relay, err := newStdinRelay(s.io.Stdin)
	if relay == nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		relay.close()
		return fmt.Errorf("a pipe for stdin: %w", err)
	}
	s.lent, s.files[0] = r, lend(r, unix.O_RDONLY)
	relay.to, s.stdin = w, relay
	return nil
}

// openTerminal makes all three one terminal. Of the client's files, stderr is not
// used.
func (s *stdio) openTerminal(size *specs.Box) (err error) {
	if s.terminal, s.lent, err = openTerminal(s.io.Stdout); err != nil {
		return err
	}
	if size != nil {
		if err := s.terminal.resize(uint64(size.Width), uint64(size.Height)); err != nil {
			return err
		}
	}
	for i := range s.files {
		s.files[i] = lend(s.lent, unix.O_RDWR)
	}
	if s.stdin, err = newStdinRelay(s.io.Stdin); s.stdin != nil {
		s.stdin.to = &keyboard{terminal: s.terminal}
	}
	return err
}

// lend is how a guest opens a file of this process: /proc/self is that for it.
func lend(f *os.File, flags int) jail.File {
	return jail.File{Path: fmt.Sprintf("/proc/self/fd/%d", f.Fd()), Flags: flags}
}

// begin is for when the guest has opened its files: signal is called for what is
// typed on a terminal to end it.
func (s *stdio) begin(signal func(uint32)) {
	if s.lent != nil {
		s.lent.Close() // so that writing fails when the guest is gone
	}
	if s.terminal != nil {
		s.terminal.begin()
	}
	if s.stdin == nil {
		return
	}
	if k, ok := s.stdin.to.(*keyboard); ok {
		k.signal = signal
	}
	go s.stdin.run()
}

// start is for when the guest is about to run.
func (s *stdio) start() {
	if s.stdin != nil {
		s.stdin.keep()
	}
}

// end is for a guest that is gone.
func (s *stdio) end() {
	if s.stdin != nil {
		s.stdin.close()
	}
	if s.terminal != nil {
		s.terminal.end()
	}
}

// abandon is for a guest that was not made.
func (s *stdio) abandon() {
	if s.lent != nil {
		s.lent.Close()
	}
	if s.stdin != nil {
		s.stdin.close()
		s.stdin.to.Close()
	}
	if s.terminal != nil {
		s.terminal.close()
	}
}

// wait returns when all output of a guest that is gone has been passed on.
func (s *stdio) wait(ctx context.Context) error {
	if s.terminal == nil {
		return nil
	}
	return s.terminal.wait(ctx)
}

// Errors: FailedPrecondition: there is no terminal any more; InvalidArgument.
func (s *stdio) resize(size runtime.ConsoleSize) error {
	if s.terminal == nil { // for which clients do not ask before
		return nil
	}
	return s.terminal.resize(uint64(size.Width), uint64(size.Height))
}

// CloseIO lets the guest see the end of its input, after what clients have
// written: the FIFO ends when its last writer has closed it, which is this one
// if there is no other.
func (s *stdio) CloseIO() {
	if s.stdin != nil {
		s.stdin.closeIO()
	}
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

// takingTime bounds how long the exit of a guest waits for its client to take the output
// that is left: upstream's shim has the same bound for the deletion of a process.
const takingTime = 10 * time.Second

// quietTime is how long a client may take nothing meanwhile.
const quietTime = time.Second

// awaitTaken waits until the client has taken all output of a guest that is gone, or
// has taken nothing for quietTime. A client that learns of the exit before its FIFO is
// open closes it unread: CRI does, where the machine is so busy that the thread which
// opens it has had no turn. Others stop to read when they delete the task, which ctr does
// as soon as it learns of the exit. What is left in a FIFO then is lost.
func (s *stdio) awaitTaken() {
	ctx, cancel := context.WithTimeout(context.Background(), takingTime)
	defer cancel()
	if s.terminal != nil && !s.terminal.isTaken(quietTime) {
		return
	}
	for _, uri := range []string{s.io.Stdout, s.io.Stderr} {
		if f, err := output(uri); err == nil && f.Path != "" && f.Flags == unix.O_RDWR {
			awaitEmpty(ctx, f.Path, quietTime)
		}
	}
}
