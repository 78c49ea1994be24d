// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// relayed is a relay that runs, and what a guest would read of it.
type relayed struct {
	*stdinRelay
	path  string
	guest *os.File
}

func relayStdin(t *testing.T) *relayed {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := newStdinRelay(path)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.to = w
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run()
	}()
	t.Cleanup(func() {
		s.close()
		<-done
		r.Close()
	})
	return &relayed{s, path, r}
}

// client writes and goes away.
func (r *relayed) client(t *testing.T, text string) {
	t.Helper()
	f, err := os.OpenFile(r.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// expect reads what there is to come: its end if text is empty.
func (r *relayed) expect(t *testing.T, text string) {
	t.Helper()
	_ = r.guest.SetReadDeadline(time.Now().Add(patience.For(30 * time.Second)))
	buf := make([]byte, max(len(text), 1))
	n, err := io.ReadFull(r.guest, buf)
	ends := errors.Is(err, io.EOF)
	if string(buf[:n]) != text || ends != (text == "") || err != nil && !ends {
		t.Fatalf("the guest reads %q, %v; want %q", buf[:n], err, text)
	}
}

func (r *relayed) expectNothing(t *testing.T) {
	t.Helper()
	_ = r.guest.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := r.guest.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the guest reads %d bytes, %v", n, err)
	}
}

// The input goes on when a client goes away, until CloseIO.
func TestStdinOutlivesItsClients(t *testing.T) {
	r := relayStdin(t)
	r.expectNothing(t) // and not the end
	r.keep()
	for _, text := range []string{"one", "two"} {
		r.client(t, text)
		r.expect(t, text)
		r.expectNothing(t)
	}
	last, err := os.OpenFile(r.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.closeIO()
	r.closeIO()
	if _, err := last.WriteString("three"); err != nil {
		t.Error(err)
	}
	r.expect(t, "three")
	r.expectNothing(t) // its client is still there
	last.Close()
	r.expect(t, "")
}

// Before the guest's start no client need call CloseIO.
func TestStdinThatEndsBeforeTheStart(t *testing.T) {
	for name, f := range map[string]func(r *relayed){
		"client came and went": func(r *relayed) { r.client(t, "text"); r.keep() },
		"by CloseIO":           func(r *relayed) { r.client(t, "text"); r.closeIO(); r.keep() },
	} {
		t.Run(name, func(t *testing.T) {
			r := relayStdin(t)
			f(r)
			r.expect(t, "text")
			r.expect(t, "")
		})
	}
	t.Run("by CloseIO without a client", func(t *testing.T) {
		r := relayStdin(t)
		r.closeIO()
		r.keep()
		r.expect(t, "")
	})
}

// A client is not blocked by a FIFO whose guest is gone, or has closed its input.
func TestStdinOfAGuestThatIsGone(t *testing.T) {
	for name, end := range map[string]func(r *relayed){
		"guest is gone":       func(r *relayed) { r.stdinRelay.close() },
		"guest reads no more": func(r *relayed) { r.guest.Close(); r.client(t, "lost") },
	} {
		t.Run(name, func(t *testing.T) {
			r := relayStdin(t)
			r.keep()
			end(r)
			deadline := time.Now().Add(patience.For(30 * time.Second))
			for {
				f, err := os.OpenFile(r.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
				if err != nil {
					break // ENXIO: nobody has it open
				}
				f.Close()
				if time.Now().After(deadline) {
					t.Fatal("the FIFO is still open")
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
}
