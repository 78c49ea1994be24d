// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

const (
	leasePrefix = "containerd-wasm-"
	// leaseTime is for leases that nobody ends. They are ended at the next start
	// of the daemon, too.
	leaseTime = time.Hour
)

// held is a lease in a namespace.
type held struct {
	store     *Store
	namespace string
	lease     leases.Lease
}

func (s *Store) lease(ctx context.Context) (held, error) {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return held{}, err
	}
	l, err := s.leases.Create(ctx, leases.WithID(leasePrefix+rand.Text()), leases.WithExpiration(leaseTime))
	return held{s, namespace, l}, err
}

func (h held) in(ctx context.Context) context.Context { return leases.WithLease(ctx, h.lease.ID) }

// end lets go of what nothing else refers to.
func (h held) end() {
	ctx := namespaces.WithNamespace(context.Background(), h.namespace)
	if err := h.store.leases.Delete(ctx, h.lease); err != nil && !errdefs.IsNotFound(err) {
		log.G(ctx).WithError(err).WithField("lease", h.lease.ID).Warn("ending a lease on compiled code")
	}
}

// hold keeps a blob until release.
func (s *Store) hold(p pin, h held) {
	s.mu.Lock()
	before, ok := s.pins[p]
	s.pins[p] = h.lease
	s.mu.Unlock()
	if ok {
		held{s, p.namespace, before}.end()
	}
}

// release is called when a blob is labelled, or not needed.
func (s *Store) release(namespace string, k engine.Key) {
	p := pin{namespace, k}
	s.mu.Lock()
	lease, ok := s.pins[p]
	delete(s.pins, p)
	s.mu.Unlock()
	if ok {
		held{s, namespace, lease}.end()
	}
}

// dropLeases ends those of an earlier daemon in the context's namespace, and with
// them unfinished writes, and views of snapshots.
func (s *Store) dropLeases(ctx context.Context) error {
	all, err := s.leases.List(ctx)
	errs := []error{err}
	for _, l := range all {
		if strings.HasPrefix(l.ID, leasePrefix) {
			errs = append(errs, s.leases.Delete(ctx, l))
		}
	}
	return errors.Join(errs...)
}
