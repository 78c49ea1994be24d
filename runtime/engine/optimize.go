// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
)

// maxOptimizing bounds the modules that wait to be optimized. Those beyond it are
// asked for again by their next start.
const maxOptimizing = 1024

// requestOptimized has the module optimized, some time, unless it is already, or
// that has failed before. It never waits.
func (e *Engine) requestOptimized(q request) {
	if e.cfg.Optimize == Tier0 || q.store == e.own {
		return
	}
	rec := e.record(q.digest, q.rules, e.cfg.Optimize)
	if note, ok := q.store.Lookup(e.record(q.digest, q.rules, Tier0).Key); !ok || note != "" || has(q.store, rec.Key) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, failed := e.refused.get(rec.Key); failed || e.closed || e.optimizing[rec.Key] || len(e.optimizing) >= maxOptimizing {
		return
	}
	e.optimizing[rec.Key] = true
	q.container = "" // it need not exist any more
	e.toOptimize <- q
}

// optimizeAll is the lane in which modules are optimized, one after the other.
func (e *Engine) optimizeAll() {
	for {
		select {
		case <-e.ctx.Done():
			return
		case q := <-e.toOptimize:
			rec := e.record(q.digest, q.rules, e.cfg.Optimize)
			err := e.optimize(q, rec)
			e.mu.Lock()
			delete(e.optimizing, rec.Key)
			if err != nil && !errdefs.IsNotFound(err) && !isNoRoom(err) {
				e.refused.put(rec.Key, err)
			}
			e.mu.Unlock()
		}
	}
}

// optimize compiles a module again, from the artefact of Tier0, which begins with
// it. When that is gone, so is the image, and there is nothing to do. A failure
// that is the module's is noted with that artefact, so that nobody tries again,
// also after a restart. No start is affected.
func (e *Engine) optimize(q request, rec Record) error {
	if has(q.store, rec.Key) {
		return nil // asked for while it was finished
	}
	ctx := e.in(q.namespace)
	logger := log.G(ctx).WithField("module", q.digest).WithField("name", q.name)
	base := e.record(q.digest, q.rules, Tier0).Key
	a, err := e.openArtefact(ctx, q.store, base)
	if err != nil {
		logger.WithError(err).Debug("not optimizing a module")
		return err
	}
	img, err := seal(bytes.NewReader(a.code()), maxCode)
	names := bytes.Clone(a.names())
	a.close()
	if err != nil {
		return err
	}
	defer img.close()
	img.names = names
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.builds.Go(func() { endWhenGone(ctx, cancel, q.store, base) })
	err = e.compileTraced(ctx, q, rec, img)
	switch {
	case err == nil:
		logger.Debug("optimized a module")
	case ctx.Err() != nil:
		logger.Debug("a module is not needed any more, and not optimized")
		return errdefs.ErrNotFound
	case errdefs.IsUnavailable(err):
		logger.WithError(err).Warn("could not optimize a module")
	default:
		logger.WithError(err).Warn("could not optimize a module, which stays as it is")
		if err := q.store.Annotate(ctx, base, fmt.Sprintf("%s: %v", rec.Tier, err)); err != nil {
			logger.WithError(err).Warn("noting that a module cannot be optimized")
		}
	}
	return err
}

// goneInterval is how long a compiler may run for an image that has been removed.
const goneInterval = 2 * time.Second

// endWhenGone calls cancel when an artefact is not there any more, or ctx has ended.
func endWhenGone(ctx context.Context, cancel func(), store Store, k Key) {
	t := time.NewTicker(goneInterval)
	defer t.Stop()
	for has(store, k) {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
	cancel()
}
