// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/second-state/WasmEdge-go/wasmedge"
)

// A Module is one caller's hold on a loaded module. All holds on the same bytes
// share one AST, which may be instantiated concurrently.
type Module struct {
	engine  *Engine
	shared  *shared
	release sync.Once
}

// AST returns the loaded module with its native code. It must not be used, nor
// any instance of it, after Release; and it is not the caller's to release.
func (m *Module) AST() *wasmedge.AST { return m.shared.ast }

// Digest returns the sha256 of the module's bytes as they were loaded.
func (m *Module) Digest() digest.Digest { return m.shared.digest }

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
	key    key
	digest digest.Digest

	// Guarded by Engine.mu.
	refs      int // the build counts as one; negative: unloaded
	idleSince time.Time

	ready chan struct{} // closed when ast and info, or err, are set
	ast   *wasmedge.AST
	info  Info
	err   error
}

// acquire returns a hold on the module with digest d. Concurrent calls for one
// module share one build, for which the first of them makes the source. Errors
// are phrases without a subject. errChanged: the source had other bytes.
func (e *Engine) acquire(ctx context.Context, d digest.Digest, r rules, newSource func() (source, error)) (*Module, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("was not loaded: %w", err)
	}
	s, err := e.join(d, r, newSource)
	if err != nil {
		return nil, err
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
		e.drop(s)
		return nil, fmt.Errorf("was not loaded in time: %w", ctx.Err())
	}
	if s.err != nil {
		e.drop(s)
		return nil, s.err
	}
	return &Module{engine: e, shared: s}, nil
}

// join takes a reference to the module, and starts its build if there is none.
func (e *Engine) join(d digest.Digest, r rules, newSource func() (source, error)) (*shared, error) {
	k := e.key(d, r)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	if s := e.modules[k]; s != nil {
		s.refs++
		return s, nil
	}
	if err, ok := e.refused.get(k); ok {
		return nil, err
	}
	src, err := newSource()
	if err != nil {
		return nil, err
	}
	s := &shared{key: k, digest: d, refs: 2, ready: make(chan struct{})}
	e.modules[k] = s
	e.builds.Go(func() {
		defer src.close()
		s.err = e.build(s, r, src)
		e.finish(s)
	})
	return s, nil
}

// finish publishes the result of a build. A failed module leaves the map first,
// so that the next caller starts afresh.
func (e *Engine) finish(s *shared) {
	if s.err != nil {
		e.mu.Lock()
		delete(e.modules, s.key)
		if isRefusal(s.err) {
			e.refused.put(s.key, s.err)
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
		if e.modules[s.key] == s {
			delete(e.modules, s.key)
		}
		s.refs-- // unloaded once: nobody finds it any more
	}
	e.mu.Unlock()
	if idle && s.ast != nil {
		s.ast.Release()
	}
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
	return !errors.Is(err, errChanged) &&
		(errdefs.IsInvalidArgument(err) || errdefs.IsResourceExhausted(err) || errdefs.IsInternal(err))
}
