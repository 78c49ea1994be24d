// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
)

// Commit implements snapshots.Snapshotter. Modules in the tree get mode 0444,
// which stays if a later step fails. Nobody may write to the tree meanwhile.
//
// The error is ErrNotFound or ErrFailedPrecondition if key is no active snapshot,
// ErrAlreadyExists for a name in use, ErrInvalidArgument for a path in the tree
// of more than 4095 bytes, and ErrNotImplemented for snapshots.WithParent: a tree
// holds all of its parent from the start, and cannot get one later.
func (s *snapshotter) Commit(ctx context.Context, name, key string, opts ...snapshots.Opt) error {
	if err := s.commit(ctx, name, key, opts); err != nil {
		return fmt.Errorf("commit snapshot %q as %q: %w", key, name, err)
	}
	return nil
}

func (s *snapshotter) commit(ctx context.Context, name, key string, opts []snapshots.Opt) error {
	id, err := s.checkCommit(ctx, name, key, opts)
	if err != nil {
		return err
	}
	usage, err := sealTree(ctx, s.path(id))
	if err != nil {
		return err
	}
	return s.update(ctx, func(ctx context.Context) error {
		if _, err := storage.CommitActive(ctx, key, name, usage, opts...); err != nil {
			return err
		}
		reach(pointCommitted)
		return nil
	}, func() {})
}

// checkCommit finds the snapshot's id, and what would make the transaction fail,
// before the tree is changed.
func (s *snapshotter) checkCommit(ctx context.Context, name, key string, opts []snapshots.Opt) (id string, err error) {
	if name == "" {
		return "", fmt.Errorf("empty name: %w", errdefs.ErrInvalidArgument)
	}
	var wanted snapshots.Info
	for _, opt := range opts {
		if err := opt(&wanted); err != nil {
			return "", err
		}
	}
	err = s.view(ctx, func(ctx context.Context) error {
		var info snapshots.Info
		if id, info, _, err = storage.GetInfo(ctx, key); err != nil {
			return err
		}
		if info.Kind != snapshots.KindActive {
			return fmt.Errorf("snapshot is not active: %w", errdefs.ErrFailedPrecondition)
		}
		if wanted.Parent != "" && wanted.Parent != info.Parent {
			return fmt.Errorf("change of parent to %q: %w", wanted.Parent, errdefs.ErrNotImplemented)
		}
		if _, _, _, err := storage.GetInfo(ctx, name); err == nil {
			return fmt.Errorf("name: %w", errdefs.ErrAlreadyExists)
		}
		return nil
	})
	return id, err
}
