// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"encoding/hex"
	"maps"
	"slices"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

// An entry of the index is an artefact, and where it can be read. The index is not
// told of what the garbage collector removes: who finds that a blob is gone drops
// it here, and prune does after snapshots with labels were removed.
type entry struct {
	engine.Record

	digest digest.Digest // of the blob
	size   int64
	note   string
	// namespaces have it. Replaced as a whole, so that a copy may be read.
	namespaces []string
}

// parse reads an entry from a blob's labels. It is not ok if no engine here could
// use the blob.
func (s *Store) parse(info content.Info) (e entry, ok bool) {
	tier, known := s.tiers[info.Labels[labelTier]]
	key, err := hex.DecodeString(info.Labels[labelKey])
	module, bad := digest.Parse(info.Labels[labelModule])
	if err != nil || bad != nil || !known || len(key) != len(e.Key) || info.Labels[labelBuild] != s.build {
		return e, false
	}
	e.Record = engine.Record{Key: engine.Key(key), Module: module, Tier: tier}
	e.digest, e.size, e.note = info.Digest, info.Size, info.Labels[labelNote]
	return e, true
}

func (s *Store) blobLabels(rec engine.Record) map[string]string {
	return map[string]string{
		labelKey:    rec.Key.String(),
		labelModule: rec.Module.String(),
		labelTier:   rec.Tier.String(),
		labelEngine: engine.Version(),
		labelBuild:  s.build,
	}
}

// add puts an artefact into the index, in place of another blob of its key.
func (s *Store) add(namespace string, e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.index[e.Key]
	if old != nil && old.digest == e.digest {
		e.namespaces, e.note = old.namespaces, old.note
	}
	if !slices.Contains(e.namespaces, namespace) {
		e.namespaces = append(slices.Clone(e.namespaces), namespace)
	}
	s.index[e.Key] = &e
}

func (s *Store) get(k engine.Key) (e entry, ok bool) {
	s.wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.index[k]; found != nil {
		return *found, true
	}
	return e, false
}

// drop takes a blob out of the index for one namespace.
func (s *Store) drop(namespace string, e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.index[e.Key]
	if found == nil || found.digest != e.digest {
		return
	}
	changed := *found
	changed.namespaces = slices.DeleteFunc(slices.Clone(changed.namespaces), func(n string) bool { return n == namespace })
	if len(changed.namespaces) == 0 {
		delete(s.index, e.Key)
		clear(s.owned) // what was labelled refers to nothing now
		return
	}
	s.index[e.Key] = &changed
}

// best is the most optimized code of a module.
func (s *Store) best(module digest.Digest) (best entry, ok bool) {
	s.wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.index {
		if e.Module == module && (!ok || e.Tier > best.Tier) {
			best, ok = *e, true
		}
	}
	return best, ok
}

// Lookup implements engine.Store.
func (s *Store) Lookup(k engine.Key) (note string, ok bool) {
	e, ok := s.get(k)
	return e.note, ok
}

// Size implements engine.Store.
func (s *Store) Size() (artefacts int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := range maps.Values(s.index) {
		artefacts, bytes = artefacts+1, bytes+e.size
	}
	return artefacts, bytes
}

// prune drops what the garbage collector has removed.
func (s *Store) prune() {
	s.mu.Lock()
	s.pruning = false
	var all []entry
	for _, e := range s.index {
		all = append(all, *e)
	}
	s.mu.Unlock()
	for _, e := range all {
		for _, namespace := range e.namespaces {
			s.exists(namespace, e)
		}
	}
}
