// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"golang.org/x/sys/unix"
)

// Remove implements snapshots.Snapshotter. The snapshot is gone when it returns, its
// tree when Cleanup has been called, or at the next start: the garbage collector
// calls Remove under a lock for which all other calls of the node wait, and a guest
// can make a tree of any size. ErrFailedPrecondition means that the snapshot has
// children.
func (s *snapshotter) Remove(ctx context.Context, key string) error {
	var id string
	renamed := false
	err := s.update(ctx, func(ctx context.Context) (err error) {
		if id, _, err = storage.Remove(ctx, key); err != nil {
			return err
		}
		err = os.Rename(s.path(id), s.path(deadPrefix+id))
		if errors.Is(err, os.ErrNotExist) {
			return nil // a view of a parent has no tree
		}
		renamed = err == nil
		reach(pointRenamed)
		return err
	}, func() {
		if renamed {
			s.rename(ctx, deadPrefix+id, id)
		}
	})
	if err != nil {
		return fmt.Errorf("remove snapshot %q: %w", key, err)
	}
	reach(pointForgotten)
	return nil
}

// Cleanup implements snapshots.Cleaner: it deletes the trees of removed snapshots,
// and of a failed Prepare that could not. The garbage collector calls it after it
// has removed snapshots, without a lock. The error names each tree that is left.
// Two calls may meet in a tree.
func (s *snapshotter) Cleanup(ctx context.Context) error {
	// No transaction is open while mu is held, so each rm-* is final.
	s.mu.Lock()
	entries, err := os.ReadDir(s.path(""))
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("clean up snapshots: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), deadPrefix) {
			errs = append(errs, removeTree(s.path(e.Name())))
		}
	}
	return errors.Join(errs...)
}

// removeTree deletes path and all below it; that it is gone already is no
// error. Unlike os.RemoveAll it enters no mount point, and holds a fixed number
// of descriptors however deep a guest has made the tree.
func removeTree(path string) error {
	parent, err := openRoot(filepath.Dir(path))
	if err != nil {
		return pathError("open directory", filepath.Dir(path), err)
	}
	defer unix.Close(parent)
	name := filepath.Base(path)

	root, err := openDir(parent, name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return unlink(parent, name, 0)
	case err != nil:
		return pathError("open directory", path, err)
	}
	w := walker{
		visit: func(e *entry) error {
			if fileType(&e.Stat_t) == unix.S_IFDIR {
				return nil
			}
			reach(pointUnlinked)
			return unlink(e.dirfd, e.name, 0)
		},
		leave: func(dirfd int, name string) error {
			return unlink(dirfd, name, unix.AT_REMOVEDIR)
		},
	}
	// The deletion follows a committed transaction, which no context can undo.
	if err := w.walk(context.Background(), root); err != nil {
		return err
	}
	return unlink(parent, name, unix.AT_REMOVEDIR)
}

func unlink(dirfd int, name string, flags int) error {
	err := retry(func() error { return unix.Unlinkat(dirfd, name, flags) })
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return pathError("delete", name, err)
	}
	return nil
}
