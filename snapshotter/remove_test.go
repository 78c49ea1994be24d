// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	bolt "go.etcd.io/bbolt"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// The garbage collector deletes a large tree without keeping others waiting.
func TestDeletionKeepsNobodyWaiting(t *testing.T) {
	root := t.TempDir()
	backend := open(t, root)
	db, err := bolt.Open(filepath.Join(root, "containerd.db"), 0o600, nil)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	mdb := metadata.NewDB(db, nil, map[string]snapshots.Snapshotter{"wasm": backend})
	s := mdb.Snapshotter("wasm")
	ctx := namespaces.WithNamespace(t.Context(), "test")
	mounts, err := s.Prepare(ctx, "large", "")
	must(t, err)
	write(t, filepath.Join(mounts[0].Source, "file"), "", 0o644)
	must(t, s.Remove(ctx, "large"))

	deleting, goOn := make(chan struct{}), make(chan struct{})
	atPoint = func(p point) {
		if p == pointUnlinked {
			close(deleting)
			<-goOn
		}
	}
	defer func() { atPoint = nil }()
	var calls sync.WaitGroup
	defer calls.Wait()
	defer close(goOn)
	calls.Go(func() {
		if _, err := mdb.GarbageCollect(ctx); err != nil {
			t.Error(err)
		}
	})
	<-deleting

	done := make(chan error, 1)
	calls.Go(func() {
		_, err := s.Prepare(ctx, "other", "")
		done <- err
	})
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(patience.For(5 * time.Second)):
		t.Fatal("Prepare waits for the deletion of another snapshot's tree")
	}
}

// The second call deletes the directory that the first is in.
func TestCleanupDuringCleanup(t *testing.T) {
	s := open(t, t.TempDir())
	dir := filepath.Join(prepare(t, s, "active", ""), "a", "b")
	must(t, os.MkdirAll(dir, 0o755))
	write(t, filepath.Join(dir, "file"), "", 0o644)
	must(t, s.Remove(t.Context(), "active"))

	atPoint = func(p point) {
		if p == pointUnlinked {
			atPoint = nil
			must(t, s.Cleanup(t.Context()))
		}
	}
	defer func() { atPoint = nil }()
	must(t, s.Cleanup(t.Context()))
	checkConsistent(t, s)
}
