// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/second-state/WasmEdge-go/wasmedge"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

const (
	// nobody is the user and group that the child ends up as.
	nobody = 65534

	// A compiled module has two to three times its former size; the rest is
	// room for instructions that are short in Wasm and long on the CPU.
	codeRatio = 64
	codeBase  = 64 << 20
	// filesRatio is for the files that are there at the same time: the code as
	// an object, linked, and copied twice.
	filesRatio = 4
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
	limit := min(codeRatio*img.size+codeBase, maxCode)
	scratch, err := newScratch(min(filesRatio*limit, e.cfg.CompileMemory))
	if err != nil {
		return unavailable(err)
	}
	defer scratch.close()

	started := time.Now()
	h, err := e.runChild(ctx, img, scratch, job{
		Engine: wasmedge.GetVersion(),
		Rules:  r,
		Bounds: e.cfg.bounds(),
		Memory: e.cfg.CompileMemory,
		// The linker has threads, so processor time may run ahead of the wall
		// clock. This limit is for a child that outlives its parent's timer.
		CPUSeconds: 2*uint64(e.cfg.CompileTimeout/time.Second) + 2,
		FileSize:   limit,
	})
	if err != nil {
		return err
	}
	if err := e.collect(scratch, img.key, h, limit); err != nil {
		return err
	}
	log.G(ctx).WithField("module", img.digest).WithField("took", time.Since(started)).Debug("compiled module")
	return nil
}

func unavailable(err error) error {
	return fmt.Errorf("could not be compiled: %w: %w", err, errdefs.ErrUnavailable)
}

// collect moves the child's result into the cache.
func (e *Engine) collect(scratch *scratch, k key, h header, limit int64) error {
	f, err := scratch.open(outName)
	if err != nil {
		return unavailable(err)
	}
	defer f.Close()
	if h.Size > uint64(limit) {
		err = errOtherCode
	} else {
		err = e.cache.put(k, h, f)
	}
	if errors.Is(err, errOtherCode) {
		return fmt.Errorf("could not be compiled: %w: %w", err, errdefs.ErrInternal)
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}
