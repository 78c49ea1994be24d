// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	bolt "go.etcd.io/bbolt"
	errbolt "go.etcd.io/bbolt/errors"
)

// lockTimeout is how long New waits for another process to release the metadata
// database, such as a daemon that is about to end.
const lockTimeout = 10 * time.Second

type snapshotter struct {
	root    string
	ms      *storage.MetaStore
	copier  copier
	newTree atomic.Uint64 // number of the next new-<n> directory

	// mu is held during write transactions, and while a failed one's renames
	// are undone: the next transaction gets the same id.
	mu sync.Mutex
}

var (
	_ snapshots.Snapshotter = (*snapshotter)(nil)
	_ snapshots.Cleaner     = (*snapshotter)(nil)
)

// New opens the snapshotter whose data is in the directory root, which is made
// if need be, and cleans up what a crash has left there. If another process has
// it open for longer than 10 s, the error is ErrUnavailable.
func New(root string) (snapshots.Snapshotter, error) {
	s := &snapshotter{root: root}
	for _, dir := range []string{root, s.path("")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make snapshotter directory: %w", err)
		}
	}
	db := filepath.Join(root, "metadata.db")
	var err error
	s.ms, err = storage.NewMetaStore(db, func(o *bolt.Options) error {
		o.Timeout = lockTimeout
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("snapshot metadata %q: %w", db, err)
	}
	if err := s.recover(context.Background()); err != nil {
		_ = s.ms.Close()
		if errors.Is(err, errbolt.ErrTimeout) {
			return nil, fmt.Errorf("snapshot metadata %q is in use by another process: %w: %w", db, err, errdefs.ErrUnavailable)
		}
		return nil, fmt.Errorf("recover snapshots in %q: %w", root, err)
	}
	return s, nil
}

// path is where the tree with that id or temporary name is.
func (s *snapshotter) path(name string) string {
	return filepath.Join(s.root, "snapshots", name)
}

// update runs fn in a write transaction. If fn or the commit fails, undo runs
// before any other transaction.
func (s *snapshotter) update(ctx context.Context, fn func(context.Context) error, undo func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.ms.WithTransaction(ctx, true, fn)
	if err != nil {
		undo()
	}
	return err
}

func (s *snapshotter) view(ctx context.Context, fn func(context.Context) error) error {
	return s.ms.WithTransaction(ctx, false, fn)
}

// Stat implements snapshots.Snapshotter.
func (s *snapshotter) Stat(ctx context.Context, key string) (info snapshots.Info, err error) {
	err = s.view(ctx, func(ctx context.Context) error {
		_, info, _, err = storage.GetInfo(ctx, key)
		return err
	})
	if err != nil {
		return snapshots.Info{}, fmt.Errorf("stat snapshot %q: %w", key, err)
	}
	return info, nil
}

// Update implements snapshots.Snapshotter. Only labels can be updated.
func (s *snapshotter) Update(ctx context.Context, info snapshots.Info, fieldpaths ...string) (updated snapshots.Info, err error) {
	err = s.update(ctx, func(ctx context.Context) error {
		updated, err = storage.UpdateInfo(ctx, info, fieldpaths...)
		return err
	}, func() {})
	if err != nil {
		return snapshots.Info{}, fmt.Errorf("update snapshot %q: %w", info.Name, err)
	}
	return updated, nil
}

// Usage implements snapshots.Snapshotter: what the removal of the snapshot would
// free. It walks an active snapshot's tree, without any lock, and reads what
// Commit stored otherwise. Views own nothing.
func (s *snapshotter) Usage(ctx context.Context, key string) (usage snapshots.Usage, err error) {
	var id string
	var info snapshots.Info
	err = s.view(ctx, func(ctx context.Context) error {
		id, info, usage, err = storage.GetInfo(ctx, key)
		return err
	})
	if err == nil && info.Kind == snapshots.KindActive {
		usage, err = treeUsage(ctx, s.path(id))
	}
	if err != nil {
		return snapshots.Usage{}, fmt.Errorf("usage of snapshot %q: %w", key, err)
	}
	return usage, nil
}

// Mounts implements snapshots.Snapshotter.
func (s *snapshotter) Mounts(ctx context.Context, key string) ([]mount.Mount, error) {
	var snap storage.Snapshot
	err := s.view(ctx, func(ctx context.Context) (err error) {
		snap, err = storage.GetSnapshot(ctx, key)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("mounts of snapshot %q: %w", key, err)
	}
	return s.mounts(snap), nil
}

// mounts is one bind mount: of the snapshot's own directory, or of the parent's
// if the snapshot is a view of one.
func (s *snapshotter) mounts(snap storage.Snapshot) []mount.Mount {
	id, access := snap.ID, "rw"
	if snap.Kind == snapshots.KindView {
		access = "ro"
		if len(snap.ParentIDs) > 0 {
			id = snap.ParentIDs[0]
		}
	}
	return []mount.Mount{{Type: "bind", Source: s.path(id), Options: []string{"rbind", access}}}
}

// Walk implements snapshots.Snapshotter.
func (s *snapshotter) Walk(ctx context.Context, fn snapshots.WalkFunc, filters ...string) error {
	return s.view(ctx, func(ctx context.Context) error {
		called := false
		err := storage.WalkInfo(ctx, func(ctx context.Context, info snapshots.Info) error {
			called = true
			return fn(ctx, info)
		}, filters...)
		if errdefs.IsNotFound(err) && !called {
			return nil // there has not been any snapshot yet
		}
		return err
	})
}

// Close implements snapshots.Snapshotter.
func (s *snapshotter) Close() error { return s.ms.Close() }
