// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"sync"
	"time"
)

// bounded is a map with at most max entries, each of which may have a lifetime.
// A full map forgets its oldest entry: what it holds can be found out again.
type bounded[K comparable, V any] struct {
	max      int
	lifetime time.Duration // 0: for ever

	mu      sync.Mutex
	entries map[K]boundedEntry[V]
	order   []K // as put, the oldest first; each key once
}

type boundedEntry[V any] struct {
	value V
	since time.Time
}

func newBounded[K comparable, V any](max int, lifetime time.Duration) *bounded[K, V] {
	return &bounded[K, V]{max: max, lifetime: lifetime, entries: map[K]boundedEntry[V]{}}
}

func (b *bounded[K, V]) get(k K) (v V, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	entry, ok := b.entries[k]
	if !ok || b.lifetime > 0 && time.Since(entry.since) > b.lifetime {
		return v, false
	}
	return entry.value, true
}

func (b *bounded[K, V]) put(k K, v V) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.entries[k]; !ok {
		if len(b.order) == b.max {
			delete(b.entries, b.order[0])
			b.order = b.order[1:]
		}
		b.order = append(b.order, k)
	}
	b.entries[k] = boundedEntry[V]{v, time.Now()}
}
