// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/runtime"
	"golang.org/x/sys/unix"
)

func TestAwaitReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	// Nobody comes.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	awaitReaders(ctx, runtime.IO{Stdout: path})()
	if ctx.Err() == nil {
		t.Error("it did not wait")
	}
	// Somebody comes late, and sees no end before done.
	read := make(chan error)
	go func() {
		time.Sleep(20 * time.Millisecond)
		f, err := os.Open(path)
		if err != nil {
			read <- err
			return
		}
		defer f.Close()
		_, err = f.Read(make([]byte, 1))
		read <- err
	}()
	done := awaitReaders(t.Context(), runtime.IO{Stdout: "fifo://" + path, Stderr: filepath.Join(t.TempDir(), "none")})
	select {
	case err := <-read:
		t.Errorf("the reader saw %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	done()
	if err := <-read; err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("the reader saw %v", err)
	}
}

func TestAwaitEmpty(t *testing.T) {
	const patience = time.Second
	path := filepath.Join(t.TempDir(), "out")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	// A guest that is gone, whose output f has.
	left := func(text string) (f *os.File) {
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		return f
	}
	for name, tc := range map[string]struct {
		path   string
		text   string
		client func(f *os.File) // in the background
		gives  bool             // up, after some patience
	}{
		"no FIFO":         {path: "/dev/null"},
		"nothing":         {path: filepath.Join(t.TempDir(), "none")},
		"empty":           {path: path},
		"taken by and by": {path: path, text: "0123456789", client: func(f *os.File) { readSlowly(f, patience/5, 10) }},
		"never taken":     {path: path, text: "text", client: func(*os.File) {}, gives: true},
		"taken in part":   {path: path, text: "text", client: func(f *os.File) { readSlowly(f, patience/5, 2) }, gives: true},
		"client goes":     {path: path, text: "text", client: func(f *os.File) { time.Sleep(patience / 2); f.Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			f := left(tc.text)
			defer f.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				if tc.client != nil {
					tc.client(f)
				}
			}()
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			awaitEmpty(ctx, tc.path, patience)
			took := time.Since(begin)
			<-done
			if ctx.Err() != nil || took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
			if gone := err != nil; !gone && (n > 0) != tc.gives || tc.gives && took < patience {
				t.Errorf("%d bytes are left after %v (%v)", n, took, err)
			}
		})
	}
	// Nobody reads, or will.
	begin := time.Now()
	awaitEmpty(t.Context(), path, time.Minute)
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("without a reader it took %v", took)
	}
}

// readSlowly takes n bytes, one each time.
func readSlowly(f *os.File, each time.Duration, n int) {
	for range n {
		time.Sleep(each)
		_, _ = f.Read(make([]byte, 1))
	}
}
