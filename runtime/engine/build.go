// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// build loads a module from the store. Tier0 is compiled first if it is not there;
// a higher tier is then an error. An artefact that does not load (it is damaged, or
// the library was replaced by another build of the same version) is dropped and
// made again, once.
func (e *Engine) build(s *shared, q request, src source) error {
	err := e.loadStored(s, q)
	if err == nil {
		e.counters.storeHits.Add(1)
		return nil
	}
	if errdefs.IsResourceExhausted(err) || s.rec.Tier != Tier0 {
		return err
	}
	e.counters.misses.Add(1)
	close(s.compiling)
	c := e.compileShared(q, forStart, src.open)
	<-c.done
	if c.err != nil {
		return c.err
	}
	err = e.loadStored(s, q)
	if err != nil && !isNoRoom(err) {
		return fmt.Errorf("was compiled but cannot be loaded: %w: %w", err, errdefs.ErrInternal)
	}
	return err
}

// loadStored loads the artefact of a module; ErrNotFound if there is none that can
// be used, ErrResourceExhausted if the module has more of something than is
// configured, errNoRoom.
//
// What WasmEdge's loader gets here are the bytes that a child has had it load
// before: their digest is the one that the child told.
//
// WasmEdge has no call that tells whether it uses an artefact's native code, or
// has fallen back to its interpreter. CheckCompiled therefore asks beforehand
// all that the loader will ask.
func (e *Engine) loadStored(s *shared, q request) error {
	ctx := e.in(q.namespace)
	a, err := e.openArtefact(ctx, q.store, s.rec.Key)
	if err != nil {
		return err
	}
	defer a.close()
	if err := e.cfg.bounds().check(a.Counts); err != nil {
		return fmt.Errorf("%w: %w", err, errdefs.ErrResourceExhausted)
	}
	s.info, s.head = Info{Counts: a.Counts, Size: a.Size}, a.header
	repay, err := e.charge(s.info.ModuleBytes())
	if err != nil {
		return err
	}
	if err := s.load(a); err != nil {
		repay()
		return e.discard(ctx, q.store, s.rec.Key, fmt.Errorf("artefact %w", err))
	}
	s.charged = s.info.ModuleBytes()
	e.counters.loads.Add(1)
	return nil
}

// load counts for itself: bounds and charges must hold for what is loaded, whoever has
// recorded the counts.
func (s *shared) load(a *artefact) error {
	code := a.code()
	counts, err := binary.Count(code)
	if err != nil {
		return err
	}
	if counts != a.Counts {
		return errors.New("has not as much of everything as is recorded")
	}
	if s.code, err = binary.CheckCompiled(code); err != nil {
		return err
	}
	if s.functions, err = functionsOf(code); err != nil {
		return err
	}
	s.ast, err = loadAST(code)
	return err
}

// openArtefact reads an artefact; ErrNotFound if there is none that can be used,
// errNoRoom.
func (e *Engine) openArtefact(ctx context.Context, store Store, k Key) (*artefact, error) {
	blob, err := store.Open(ctx, k)
	if errdefs.IsNotFound(err) {
		return nil, err
	}
	if err != nil {
		return nil, e.discard(ctx, store, k, err)
	}
	defer blob.Close()
	size, err := artefactSize(blob)
	if err != nil {
		return nil, e.discard(ctx, store, k, err)
	}
	repay, err := e.charge(size)
	if err != nil {
		return nil, err
	}
	a, err := readArtefact(k, blob, size)
	if err != nil {
		repay()
		return nil, e.discard(ctx, store, k, err)
	}
	a.repay = repay
	e.counters.loadedBytes.Add(uint64(len(a.mem)))
	return a, nil
}

// discard removes an artefact that cannot be used, and returns ErrNotFound.
func (e *Engine) discard(ctx context.Context, store Store, k Key, cause error) error {
	log.G(ctx).WithError(cause).WithField("key", k).Warn("compiled code is unusable, and removed")
	if err := store.Remove(ctx, k); err != nil {
		return fmt.Errorf("was not loaded: %w: %w", err, errdefs.ErrUnavailable)
	}
	return fmt.Errorf("%w: %w", cause, errdefs.ErrNotFound)
}
