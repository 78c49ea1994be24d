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
