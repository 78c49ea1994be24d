// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

const (
	// nobody is the user and group that the child ends up as.
	nobody = 65534

	// A compiled module has two to three times its former size; the rest is
	// room for instructions that are short in Wasm and long on the CPU.
	codeRatio = 64
	codeBase  = 64 << 20
	// maxCode keeps the code's length in the uint32 of WasmEdge's API.
	maxCode = 4<<30 - 1<<20
)

// compileInChild validates and compiles img in a child process and puts the
// result into the cache. Its errors are those of Load, without a subject.
func (e *Engine) compileInChild(ctx context.Context, img *image, r rules) error {
	head, err := img.head()
	if err != nil {
		return unavailable(err)
	}
	if err := binary.Classify(head); err != nil {
		return fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return errClosed
	}
	scratch, err := e.newScratch()
	if err != nil {
		return unavailable(err)
	}
	defer os.RemoveAll(scratch)

	started := time.Now()
	limit := min(codeRatio*img.size+codeBase, maxCode)
	if err := e.runChild(ctx, img, scratch, job{
		Rules:  r,
		Memory: e.cfg.CompileMemory,
		// The linker has threads, so processor time may run ahead of the wall
		// clock. This limit is for a child that outlives its parent's timer.
		CPUSeconds: 2*uint64(e.cfg.CompileTimeout/time.Second) + 2,
		FileSize:   limit,
	}); err != nil {
		return err
	}
	if err := e.collect(scratch, img.key, limit); err != nil {
		return unavailable(err)
	}
	log.G(ctx).WithField("module", img.digest).WithField("took", time.Since(started)).Debug("compiled module")
	return nil
}

func unavailable(err error) error {
	return fmt.Errorf("could not be compiled: %w: %w", err, errdefs.ErrUnavailable)
}

// newScratch makes a directory that belongs to the child.
func (e *Engine) newScratch() (string, error) {
	dir, err := os.MkdirTemp(e.cfg.Root, scratchPrefix)
	if err != nil {
		return "", err
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

// collect moves the child's result into the cache. The child is gone, but may
// have left anything under that name.
func (e *Engine) collect(scratch string, k key, max int64) error {
	f, err := os.OpenFile(filepath.Join(scratch, outName), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return errors.New("the compiler's result is not a regular file")
	}
	return e.cache.put(k, f, max)
}
