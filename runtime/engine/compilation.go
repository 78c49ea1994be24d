// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/tracing"
	"github.com/opencontainers/go-digest"
)

// A request is what somebody wants of a module.
type request struct {
	digest digest.Digest // of its bytes
	rules  rules
	store  Store
	name   string // of its file, for those who read logs

	namespace string
	container string // that is to start, if any
	tenant    string // who takes turns with others
}

// A compilation makes one artefact, for all who want it.
type compilation struct {
	ticket *ticket
	done   chan struct{} // closed when err is set
	err    error         // a phrase that follows the module's name
}

// compileShared joins the compilation of an artefact, or begins it. open opens the
// module's bytes, once it is its turn, and before the compilation is done.
func (e *Engine) compileShared(q request, p priority, open func() (*image, error)) *compilation {
	rec := e.record(q.digest, q.rules, Tier0)
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.compiling[rec.Key]; c != nil {
		e.promote(rec.Key)
		return c
	}
	c := &compilation{done: make(chan struct{})}
	switch err, refused := e.refused.get(rec.Key); {
	case e.closed:
		c.err = errClosed
	case refused:
		c.err = err
	}
	if c.err != nil {
		close(c.done)
		return c
	}
	c.ticket = e.queue.enter(p, q.tenant)
	e.compiling[rec.Key] = c
	e.promote(rec.Key)
	e.builds.Go(func() {
		c.err = e.compileInTurn(c.ticket, q, rec, open)
		e.mu.Lock()
		delete(e.compiling, rec.Key)
		if c.err != nil && isRefusal(c.err) {
			e.refused.put(rec.Key, c.err)
		}
		e.mu.Unlock()
		close(c.done)
		if c.err == nil && q.container != "" {
			q.store.Use(e.in(q.namespace), q.container, FileID{}, rec)
		}
	})
	return c
}

// promote has a compilation, if there is one, be for the starts that wait for it, if there
// are any, of whatever tenant. Engine.mu is held.
func (e *Engine) promote(k Key) {
	c, s := e.compiling[k], e.modules[k]
	if c == nil || s == nil {
		return
	}
	for _, tenant := range s.tenants {
		c.ticket.promote(tenant)
	}
}

func (e *Engine) compileInTurn(t *ticket, q request, rec Record, open func() (*image, error)) error {
	defer t.leave()
	if err := t.wait(e.ctx); err != nil {
		return errClosed
	}
	img, err := open()
	if err != nil {
		return err
	}
	defer img.close()
	if img.digest != q.digest {
		return errChanged
	}
	return e.compileTraced(e.in(q.namespace), q, rec, img)
}

// compileTraced compiles, and records it. Its span has no parent: a compilation is for
// all who want it.
func (e *Engine) compileTraced(ctx context.Context, q request, rec Record, img *image) error {
	ctx, span := tracing.StartSpan(ctx, tracing.Name("wasm", "compile"), tracing.WithNamespace(ctx),
		tracing.WithAttribute("wasm.module", q.digest.String()), tracing.WithAttribute("wasm.tier", rec.Tier.String()))
	started := time.Now()
	err := e.compile(ctx, img, order{rec, q.rules, q.store, img.names})
	span.SetStatus(err)
	span.End()
	e.counters.compiled(rec.Tier, err, time.Since(started))
	return err
}

// in is the engine's context in a namespace of containerd's.
func (e *Engine) in(namespace string) context.Context {
	if namespace == "" {
		return e.ctx
	}
	return namespaces.WithNamespace(e.ctx, namespace)
}

// Precompile sees to it that there is an artefact of the module in f, a file that
// nobody can change, without loading it. It waits behind starts. f stays the
// caller's, and is open until Precompile returns. The record is that of the best
// artefact there is. Errors are those of Load, but there is none for ctx: it only
// carries the namespace.
func (e *Engine) Precompile(ctx context.Context, f *os.File) (Record, error) {
	d, _, err := e.digestFile(f, true)
	if err != nil {
		return Record{}, fmt.Errorf("module %q %w", f.Name(), err)
	}
	namespace, _ := namespaces.Namespace(ctx)
	q := request{digest: d, store: e.cfg.Store, name: f.Name(), namespace: namespace}
	if rec := e.record(d, q.rules, e.cfg.Optimize); has(q.store, rec.Key) {
		return rec, nil
	}
	rec := e.record(d, q.rules, Tier0)
	if !has(q.store, rec.Key) {
		c := e.compileShared(q, forUnpack, func() (*image, error) {
			return seal(contents(f, e.cfg.MaxModuleSize), e.cfg.MaxModuleSize)
		})
		<-c.done
		if c.err != nil {
			return Record{}, fmt.Errorf("module %q %w", f.Name(), c.err)
		}
	}
	e.requestOptimized(q)
	return rec, nil
}

func has(s Store, k Key) bool {
	_, ok := s.Lookup(k)
	return ok
}

// Digest returns the digest of a file that nobody can change, and reads it at most
// once.
func (e *Engine) Digest(f *os.File) (digest.Digest, error) {
	d, _, err := e.digestFile(f, true)
	return d, err
}
