// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/go-digest"
	"github.com/second-state/WasmEdge-go/wasmedge"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// A Module is one caller's hold on a loaded module. All holds on the same bytes
// share one AST, which may be instantiated concurrently.
type Module struct {
	engine  *Engine
	shared  *shared
	request request // that it was loaded for
	release sync.Once
}

// AST returns the loaded module with its native code. It must not be used after
// Release, and no guest code of it may run then; an instance may be deleted later
// (package jail, wasm.c). It is not the caller's to release.
func (m *Module) AST() *wasmedge.AST { return m.shared.ast }

// Digest returns the sha256 of the module's bytes as they were loaded.
func (m *Module) Digest() digest.Digest { return m.shared.rec.Module }

// Tier says how far the code is optimized.
func (m *Module) Tier() Tier { return m.shared.rec.Tier }

// Info tells how much the module has of what takes memory.
func (m *Module) Info() Info { return m.shared.info }

// Release gives the module up; once nobody has held it for Config.IdleTime, the
// native code is unloaded. Further calls do nothing.
func (m *Module) Release() {
	m.release.Do(func() { m.engine.drop(m.shared) })
}

// shared is one loaded, or loading, module.
//
//	absent --acquire--> loading --build--> loaded <--acquire-- idle --IdleTime--> absent
//	                       |                  +----last drop--->+
//	                       +-----build-----> failed: absent at once
type shared struct {
	rec Record

	// Guarded by Engine.mu.
	refs      int // the build counts as one; negative: unloaded
	idleSince time.Time
	charged   uint64   // bytes; set before the build is over
	tenants   []string // whose starts wait for the build

	compiling chan struct{} // closed when the build begins to wait for a compiler
	ready     chan struct{} // closed when err, or all others, are set
	ast       *wasmedge.AST
	info      Info
	functions exportedFunctions
	head      header
	code      binary.Code
	err       error
}

// load returns a hold on the best of the module that is there, or on Tier0, which
// is compiled if need be. Errors are those of acquire.
func (e *Engine) load(ctx context.Context, q request, newSource func() (source, error)) (*Module, error) {
	m, err := e.loadOptimized(ctx, q)
	if m != nil || err != nil {
		return m, err
	}
	m, err = e.acquire(ctx, q, e.record(q.digest, q.rules, Tier0), newSource)
	if err == nil {
		e.requestOptimized(q)
	}
	return m, err
}

// loadOptimized returns nil if there is no optimized code, or none that loads: no
// start fails, or waits, for that. errNoRoom: for other code there would be none either,
// once it were compiled.
func (e *Engine) loadOptimized(ctx context.Context, q request) (*Module, error) {
	if e.cfg.Optimize == Tier0 || q.store == e.own {
		return nil, nil
	}
	rec := e.record(q.digest, q.rules, e.cfg.Optimize)
	if !has(q.store, rec.Key) {
		return nil, nil
	}
	m, err := e.acquire(ctx, q, rec, func() (source, error) { return noSource{}, nil })
	if isNoRoom(err) {
		return nil, err
	}
	if err != nil {
		log.G(ctx).WithError(err).WithField("module", q.digest).Debug("no optimized code")
		return nil, nil
	}
	return m, nil
}

// acquire returns a hold on the module of rec. Concurrent calls for one module
// share one build, for which the first of them makes the source. Errors are
// phrases without a subject. errChanged: the source had other bytes.
func (e *Engine) acquire(ctx context.Context, q request, rec Record, newSource func() (source, error)) (*Module, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("was not loaded: %w", err)
	}
	s, err := e.join(q, rec, newSource)
	if err != nil {
		return nil, err
	}
	if err := e.await(ctx, s, q); err != nil {
		e.drop(s)
		return nil, err
	}
	return &Module{engine: e, shared: s, request: q}, nil
}

// isReady says whether the build is over.
func (s *shared) isReady() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// await waits for a build, and says so if that takes a compiler.
func (e *Engine) await(ctx context.Context, s *shared, q request) error {
	compiling := s.compiling
	for {
		select {
		case <-s.ready:
			return s.err
		case <-compiling:
			compiling = nil
			if s.isReady() { // both are closed for ever, and either may come first
				continue
			}
			e.counters.waiting.Add(1)
			defer e.counters.waiting.Add(-1)
			if e.cfg.OnWait != nil {
				e.cfg.OnWait(Wait{Namespace: q.namespace, Container: q.container, Name: q.name, Module: q.digest})
			}
		case <-ctx.Done():
			return fmt.Errorf("was not loaded in time: %w", ctx.Err())
		}
	}
}

// join takes a reference to the module, and starts its build if there is none.
func (e *Engine) join(q request, rec Record, newSource func() (source, error)) (*shared, error) {
	var unloaded *shared
	defer func() { e.release(unloaded) }() // without the lock
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	if s := e.modules[rec.Key]; s != nil {
		if s.refs == 0 {
			e.addIdle(s, -1)
		}
		s.refs++
		if !s.isReady() && !slices.Contains(s.tenants, q.tenant) {
			s.tenants = append(s.tenants, q.tenant)
			e.promote(rec.Key)
		}
		e.counters.memoryHits.Add(1)
		return s, nil
	}
	if err, ok := e.refused.get(rec.Key); ok {
		return nil, err
	}
	if len(e.modules) >= e.maxModules {
		if unloaded = e.oldest(); unloaded == nil {
			return nil, fmt.Errorf("was not loaded: %d other modules are in use, as many as the daemon may load: %w", len(e.modules), errdefs.ErrResourceExhausted)
		}
		e.take(unloaded)
	}
	src, err := newSource()
	if err != nil {
		return nil, err
	}
	s := &shared{rec: rec, refs: 2, tenants: []string{q.tenant}, compiling: make(chan struct{}), ready: make(chan struct{})}
	e.modules[rec.Key] = s
	e.builds.Go(func() {
		defer src.close()
		s.err = e.build(s, q, src)
		e.finish(s)
	})
	return s, nil
}

// finish publishes the result of a build. A failed module leaves the map first,
// so that the next caller starts afresh.
func (e *Engine) finish(s *shared) {
	if s.err != nil {
		e.mu.Lock()
		delete(e.modules, s.rec.Key)
		if s.rec.Tier == Tier0 && isRefusal(s.err) {
			e.refused.put(s.rec.Key, s.err)
		}
		e.mu.Unlock()
	}
	close(s.ready)
	e.drop(s)
}

// drop gives up one reference. With the last the module becomes idle.
func (e *Engine) drop(s *shared) {
	e.mu.Lock()
	s.refs--
	s.idleSince = time.Now()
	idle, wait := s.refs == 0, e.cfg.IdleTime
	if idle {
		e.addIdle(s, 1)
	}
	if e.closed {
		wait = 0
	}
	e.mu.Unlock()
	switch {
	case idle && wait > 0:
		time.AfterFunc(wait, func() { e.unloadIdle(s, wait) })
	case idle:
		e.unloadIdle(s, 0)
	}
}

// unloadIdle unloads the module if nobody took it up in the meantime.
func (e *Engine) unloadIdle(s *shared, wait time.Duration) {
	e.mu.Lock()
	idle := s.refs == 0 && time.Since(s.idleSince) >= wait
	if idle {
		e.take(s)
	}
	e.mu.Unlock()
	if idle {
		e.release(s)
	}
}

// take takes out an idle module, which release then unloads. Engine.mu is held.
func (e *Engine) take(s *shared) {
	if e.modules[s.rec.Key] == s {
		delete(e.modules, s.rec.Key)
	}
	s.refs-- // unloaded once: nobody finds it any more
}

// release unloads a module that was taken out, or nil.
func (e *Engine) release(s *shared) {
	if s == nil || s.ast == nil {
		return
	}
	s.ast.Release()
	e.cfg.Budget.Repay(s.charged)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addIdle(s, -1)
}

// unloadAllIdle is for Close.
func (e *Engine) unloadAllIdle() {
	e.mu.Lock()
	var idle []*shared
	for _, s := range e.modules {
		if s.refs == 0 {
			idle = append(idle, s)
		}
	}
	e.mu.Unlock()
	for _, s := range idle {
		e.unloadIdle(s, 0)
	}
}

// errClosed is what loads get from, or during, Close.
var errClosed = fmt.Errorf("was not loaded: the engine is closed: %w", errdefs.ErrUnavailable)

// isRefusal says whether err is about the module, and another attempt soon
// would end the same.
func isRefusal(err error) bool {
	return !errors.Is(err, errChanged) && !isNoRoom(err) &&
		(errdefs.IsInvalidArgument(err) || errdefs.IsResourceExhausted(err) || errdefs.IsInternal(err))
}
