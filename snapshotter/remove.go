// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/log"
	"golang.org/x/sys/unix"
)

// Remove implements snapshots.Snapshotter. The tree is deleted before it returns;
// if that fails, the snapshot is gone all the same, and Cleanup or the next start
// deletes the rest. ErrFailedPrecondition means that the snapshot has children.
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
	if renamed {
		if err := removeTree(s.path(deadPrefix + id)); err != nil {
			log.G(ctx).WithError(err).WithField("key", key).Warn("failed to remove snapshot tree")
		}
	}
	return nil
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
