// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// Wait is a start that begins to wait for a compiler. Config.OnWait is told of each.
type Wait struct {
	Namespace string // of containerd; empty for the engine's own modules
	Container string // that starts, if any
	Name      string // of the module's file
	Module    digest.Digest
}

// Stats are counts since the engine was made, and what it has now.
type Stats struct {
	Compilations []CompilationStats // sorted by tier and result
	Queued       int                // compilations of Tier0 that wait for others to end
	Compiling    int                // compilers of Tier0 that run
	Optimizing   int                // modules that wait to be optimized, or are being
	Waiting      int                // starts that wait for a compiler

	MemoryHits uint64 // starts that found the module loaded, or being loaded
	StoreHits  uint64 // starts that found it compiled
	Misses     uint64 // starts that had it compiled

	Loads       uint64 // artefacts loaded into this process
	LoadedBytes uint64 // that were read for it
	ModuleReads uint64 // modules read to learn their digests

	Modules      int    // loaded
	ModuleMemory uint64 // bytes that they take, estimated
	Artefacts    int    // in the store
	StoredBytes  int64
}

// CompilationStats are the compilations of one tier that ended alike.
type CompilationStats struct {
	Tier    Tier
	Result  string // "ok", "refused", "exhausted", "crashed" or "unavailable"
	Count   uint64
	Seconds float64 // that they took together, on the clock
}

// Stats may be called at any time.
func (e *Engine) Stats() Stats {
	c := &e.counters
	s := Stats{
		Compilations: c.compilations(),
		Waiting:      int(c.waiting.Load()),
		MemoryHits:   c.memoryHits.Load(),
		StoreHits:    c.storeHits.Load(),
		Misses:       c.misses.Load(),
		Loads:        c.loads.Load(),
		LoadedBytes:  c.loadedBytes.Load(),
		ModuleReads:  c.moduleReads.Load(),
	}
	s.Queued, s.Compiling = e.queue.length()
	s.Artefacts, s.StoredBytes = e.cfg.Store.Size()
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Optimizing = len(e.optimizing)
	for _, m := range e.modules {
		select {
		case <-m.ready:
			if m.ast != nil {
				s.Modules++
				s.ModuleMemory += m.info.ModuleBytes()
			}
		default:
		}
	}
	return s
}

type counters struct {
	waiting                         atomic.Int64
	memoryHits, storeHits, misses   atomic.Uint64
	loads, loadedBytes, moduleReads atomic.Uint64

	mu    sync.Mutex
	ended map[ending]*CompilationStats
}

type ending struct {
	tier   Tier
	result string
}

func (c *counters) compiled(t Tier, err error, took time.Duration) {
	k := ending{t, resultOf(err)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.ended = map[ending]*CompilationStats{}
	}
	s := c.ended[k]
	if s == nil {
		s = &CompilationStats{Tier: t, Result: k.result}
		c.ended[k] = s
	}
	s.Count++
	s.Seconds += took.Seconds()
}

func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errdefs.IsInvalidArgument(err):
		return "refused"
	case errdefs.IsResourceExhausted(err):
		return "exhausted"
	case errdefs.IsInternal(err):
		return "crashed"
	}
	return "unavailable"
}

func (c *counters) compilations() []CompilationStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []CompilationStats
	for _, s := range c.ended {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b CompilationStats) int {
		return cmp.Or(cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.Result, b.Result))
	})
	return all
}
