// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/second-state/WasmEdge-go/wasmedge"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

const (
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

// An order says what is to become of a module.
type order struct {
	Record

	rules rules
	store Store  // where the result goes
	names []byte // of functions, if they are known; nil: the child finds them
}

// compileInChild validates and compiles img in a child process and stores the
// result. ctx has the namespace. Its errors are those of Load, without a subject.
func (e *Engine) compileInChild(ctx context.Context, img *image, o order) error {
	head, err := img.head()
	if err != nil {
		return unavailable(err)
	}
	if err := binary.Classify(head); err != nil {
		return fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
	}
	size := min(codeRatio*img.size+codeBase, maxCode)
	user := newUser()
	scratch, err := newScratch(min(filesRatio*size, e.cfg.CompileMemory), user)
	if err != nil {
		return unavailable(err)
	}
	defer scratch.close()

	started, limits := time.Now(), e.cfg.limits(o.Tier)
	h, err := e.runChild(ctx, img, scratch, limits.wall, job{
		Engine:     wasmedge.GetVersion(),
		Rules:      o.rules,
		Bounds:     e.cfg.bounds(),
		Tier:       o.Tier,
		Idle:       limits.idle,
		Memory:     e.cfg.CompileMemory,
		CPUSeconds: limits.cpu,
		FileSize:   size,
		Names:      o.names == nil,
		User:       user,
	})
	if err != nil {
		return err
	}
	log.G(ctx).WithField("module", o.Module).WithField("tier", o.Tier.String()).WithField("took", time.Since(started)).Debug("compiled module")
	return e.collect(ctx, scratch, o, h, size)
}

func unavailable(err error) error {
	return fmt.Errorf("could not be compiled: %w: %w", err, errdefs.ErrUnavailable)
}

// collect moves the child's result into the store.
func (e *Engine) collect(ctx context.Context, scratch *scratch, o order, h header, limit int64) error {
	f, err := scratch.open(outName)
	if err != nil {
		return unavailable(err)
	}
	defer f.Close()
	if h.Size > uint64(limit) {
		err = errOtherCode
	} else if o.names == nil {
		o.names, err = scratch.readNames()
	}
	if err == nil {
		err = putCode(ctx, o, h, f)
	}
	if errors.Is(err, errOtherCode) {
		return fmt.Errorf("could not be compiled: %w: %w", err, errdefs.ErrInternal)
	}
	if err != nil {
		return fmt.Errorf("was compiled, and cannot be stored: %w: %w", err, errdefs.ErrUnavailable)
	}
	return nil
}

// putCode stores the code that src yields, if it is what h says.
func putCode(ctx context.Context, o order, h header, src io.Reader) error {
	h.Key, h.Salt = o.Key, rand.Uint64()
	h.NamesSize, h.NamesDigest = uint64(len(o.names)), sha256.Sum256(o.names)
	head := h.encode()
	return o.store.Put(ctx, o.Record, int64(len(head))+int64(h.Size+h.NamesSize),
		io.MultiReader(bytes.NewReader(head), newRecorded(h, src), bytes.NewReader(o.names)))
}
