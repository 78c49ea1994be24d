// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// memStore is a Store in memory, which outlives engines.
type memStore struct {
	mu    sync.Mutex
	blobs map[Key][]byte
	notes map[Key]string
	uses  int
}

func newMemStore() *memStore { return &memStore{blobs: map[Key][]byte{}, notes: map[Key]string{}} }

// Lookup implements Store.
func (s *memStore) Lookup(k Key) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.blobs[k]
	return s.notes[k], ok
}

type memBlob struct {
	*bytes.Reader

	digest digest.Digest
}

func (b memBlob) Digest() digest.Digest { return b.digest }
func (memBlob) Close() error            { return nil }

// Open implements Store. What the digest is of is taken from the label, as it were.
func (s *memStore) Open(_ context.Context, k Key) (Blob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.blobs[k]
	if !ok {
		return nil, fmt.Errorf("artefact: %w", errdefs.ErrNotFound)
	}
	return memBlob{bytes.NewReader(b), ""}, nil
}

// Put implements Store.
func (s *memStore) Put(_ context.Context, rec Record, size int64, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if int64(len(b)) != size {
		return fmt.Errorf("%d bytes, not %d", len(b), size)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[rec.Key] = b
	return nil
}

// Remove implements Store.
func (s *memStore) Remove(_ context.Context, k Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, k)
	return nil
}

// Annotate implements Store.
func (s *memStore) Annotate(_ context.Context, k Key, note string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[k] = note
	return nil
}

// Use implements Store.
func (s *memStore) Use(context.Context, string, FileID, Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses++
}

// Size implements Store.
func (s *memStore) Size() (artefacts int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.blobs {
		artefacts, bytes = artefacts+1, bytes+int64(len(b))
	}
	return artefacts, bytes
}

// damage flips a bit of what is stored under k.
func (s *memStore) damage(t *testing.T, k Key) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.blobs[k]) == 0 {
		t.Fatal("there is nothing to damage")
	}
	b := bytes.Clone(s.blobs[k])
	b[len(b)-1] ^= 1
	s.blobs[k] = b
}
