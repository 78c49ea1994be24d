// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
)

// Prepare implements snapshots.Snapshotter. Its time is that of one synced
// metadata transaction, plus a few system calls per file of the parent, plus
// what there is to copy: everything but modules, where reflinks are missing.
//
// The error is ErrAlreadyExists for a key in use, ErrNotFound for a missing
// parent, ErrInvalidArgument for one that is not committed, and
// ErrResourceExhausted, with the name of the file, if the disk is full.
//
// For an image that CRI mounts as a volume, it makes a view.
func (s *snapshotter) Prepare(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	if isImageVolume(key) {
		return s.View(ctx, key, parent, opts...)
	}
	return s.create(ctx, snapshots.KindActive, key, parent, opts)
}

// isImageVolume tells by the key, which is the path that CRI mounts an image volume on,
// below its state directory (imageVolumeDir in containerd's internal/cri/server). CRI
// prepares what it lets nobody write to, which other snapshotters do by an overlay. An
// active snapshot here would be a copy of all that is not a module, for each pod. Where
// the path is another one, it is.
func isImageVolume(key string) bool {
	return strings.Contains(key, "/io.containerd.grpc.v1.cri/image-volumes/")
}

// View implements snapshots.Snapshotter, with Prepare's errors. It copies
// nothing.
func (s *snapshotter) View(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	return s.create(ctx, snapshots.KindView, key, parent, opts)
}

// create makes the tree outside of the transaction, so that snapshots can be
// cloned at the same time and only the records are written one after the other.
// If the parent is removed meanwhile, its clone may lack files, but then record
// does not find the parent.
func (s *snapshotter) create(ctx context.Context, kind snapshots.Kind, key, parent string, opts []snapshots.Opt) (_ []mount.Mount, retErr error) {
	defer func() {
		if retErr != nil {
			retErr = fmt.Errorf("create snapshot %q of %q: %w", key, parent, retErr)
		}
	}()
	parentID, err := s.checkCreate(ctx, key, parent)
	if err != nil {
		return nil, err
	}
	var tree string
	if kind == snapshots.KindActive || parent == "" {
		copyModules, err := isUnpack(key, opts)
		if err != nil {
			return nil, err
		}
		tree, err = s.makeTree(ctx, parentID, copyModules)
		if err != nil {
			return nil, err
		}
		defer func() {
			if retErr != nil {
				s.discard(ctx, tree)
			}
		}()
	}
	snap, err := s.record(ctx, kind, key, parent, parentID, tree, opts)
	if err != nil {
		return nil, err
	}
	reach(pointPrepared)
	return s.mounts(snap), nil
}

// checkCreate finds the parent's id, and most of what would make record fail,
// before anything is copied.
func (s *snapshotter) checkCreate(ctx context.Context, key, parent string) (parentID string, err error) {
	if key == "" {
		return "", fmt.Errorf("empty key: %w", errdefs.ErrInvalidArgument)
	}
	err = s.view(ctx, func(ctx context.Context) error {
		if _, _, _, err := storage.GetInfo(ctx, key); err == nil {
			return fmt.Errorf("key: %w", errdefs.ErrAlreadyExists)
		}
		if parent == "" {
			return nil
		}
		id, info, _, err := storage.GetInfo(ctx, parent)
		if err != nil {
			return fmt.Errorf("parent: %w", err)
		}
		if info.Kind != snapshots.KindCommitted {
			return fmt.Errorf("parent is not committed: %w", errdefs.ErrInvalidArgument)
		}
		parentID = id
		return nil
	})
	return parentID, err
}

// isUnpack reports whether a layer will be applied to the snapshot: then it must
// not share modules, as the layer may change their attributes. CRI's pull and the
// transfer service set a label, as they unpack; the client library, and with it CRI for
// image volumes, has no sign but the key, before which there may be a namespace.
func isUnpack(key string, opts []snapshots.Opt) (bool, error) {
	if strings.HasPrefix(path.Base(key), snapshots.UnpackKeyPrefix+"-") {
		return true, nil
	}
	var info snapshots.Info
	for _, opt := range opts {
		if err := opt(&info); err != nil {
			return false, err
		}
	}
	return info.Labels[snapshots.LabelSnapshotRef] != "", nil
}

// makeTree makes a tree with a temporary name: a clone of the parent's, or an
// empty one of mode 0755 without a parent. It leaves nothing behind on error.
func (s *snapshotter) makeTree(ctx context.Context, parentID string, copyModules bool) (name string, err error) {
	name = newPrefix + strconv.FormatUint(s.newTree.Add(1), 10)
	if err := os.Mkdir(s.path(name), 0o700); err != nil {
		return "", fmt.Errorf("make tree: %w", err)
	}
	if parentID == "" {
		err = os.Chmod(s.path(name), 0o755) // whatever the umask
	} else {
		err = cloneTree(ctx, &s.copier, s.path(name), s.path(parentID), copyModules)
	}
	if err != nil {
		s.discard(ctx, name)
		return "", err
	}
	return name, nil
}

// record names the tree (if the snapshot has one) and writes the record.
func (s *snapshotter) record(ctx context.Context, kind snapshots.Kind, key, parent, parentID, tree string, opts []snapshots.Opt) (snap storage.Snapshot, err error) {
	placed := false
	err = s.update(ctx, func(ctx context.Context) error {
		snap, err = storage.CreateSnapshot(ctx, kind, key, parent, opts...)
		if err != nil {
			return err
		}
		if len(snap.ParentIDs) > 0 && snap.ParentIDs[0] != parentID {
			return fmt.Errorf("parent was replaced meanwhile: %w", errdefs.ErrUnavailable)
		}
		if tree == "" {
			return nil
		}
		if err := os.Rename(s.path(tree), s.path(snap.ID)); err != nil {
			return fmt.Errorf("place tree: %w", err)
		}
		placed = true
		reach(pointPlaced)
		return nil
	}, func() {
		if placed {
			s.rename(ctx, snap.ID, tree)
		}
	})
	return snap, err
}

// discard removes a tree without a record. If that fails, Cleanup tries again.
func (s *snapshotter) discard(ctx context.Context, name string) {
	err := os.Rename(s.path(name), s.path(deadPrefix+name))
	if err == nil {
		err = removeTree(s.path(deadPrefix + name))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.G(ctx).WithError(err).WithField("path", s.path(name)).Warn("failed to remove snapshot tree")
	}
}

// rename undoes a rename of a failed transaction.
func (s *snapshotter) rename(ctx context.Context, from, to string) {
	if err := os.Rename(s.path(from), s.path(to)); err != nil {
		// The next start sets it right, from the records.
		log.G(ctx).WithError(err).WithField("path", s.path(from)).Error("failed to undo rename of snapshot tree")
	}
}
