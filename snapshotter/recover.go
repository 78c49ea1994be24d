// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
)

const (
	// newPrefix begins the name of a tree which a running call is making.
	newPrefix = "new-"
	// deadPrefix begins the name of a tree which nobody needs any more, once
	// the transaction that renamed it is committed.
	deadPrefix = "rm-"
)

// recover sets right what a crash has left. The first transaction takes the lock
// on the database, so no other process is at work in the directory:
//
//	new-<n>                  a clone was interrupted      delete
//	<id>, id unknown         Prepare was not committed    delete
//	rm-<id>, id known        Remove was not committed     move back
//	rm-<x>, otherwise        Remove was committed         delete
//
// A tree that cannot be deleted does not keep the daemon from starting.
func (s *snapshotter) recover(ctx context.Context) error {
	owners, err := s.treeOwners(ctx)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(s.path(""))
	if err != nil {
		return err
	}
	var dead []string
	for _, e := range entries {
		name := e.Name()
		if _, ok := owners[name]; ok {
			delete(owners, name)
			continue
		}
		if id, ok := strings.CutPrefix(name, deadPrefix); ok && owners[id] != "" {
			if err := os.Rename(s.path(name), s.path(id)); err != nil {
				return fmt.Errorf("move back snapshot %q: %w", owners[id], err)
			}
			delete(owners, id)
			continue
		}
		dead = append(dead, name)
	}
	for id, key := range owners {
		// No crash of the daemon does this; a crash of the host may.
		log.G(ctx).WithField("key", key).WithField("path", s.path(id)).Error("tree of snapshot is missing")
	}
	for _, name := range dead {
		if err := removeTree(s.path(name)); err != nil {
			log.G(ctx).WithError(err).WithField("path", s.path(name)).Warn("failed to remove leftover of a snapshot")
		}
	}
	return nil
}

// treeOwners maps the id of each snapshot which has a tree to its key.
func (s *snapshotter) treeOwners(ctx context.Context) (map[string]string, error) {
	owners := map[string]string{}
	err := s.view(ctx, func(ctx context.Context) error {
		return storage.WalkInfo(ctx, func(ctx context.Context, info snapshots.Info) error {
			if info.Kind == snapshots.KindView && info.Parent != "" {
				return nil
			}
			id, _, _, err := storage.GetInfo(ctx, info.Name)
			owners[id] = info.Name
			return err
		})
	})
	if err != nil && !errdefs.IsNotFound(err) { // not found: there was no snapshot ever
		return nil, err
	}
	return owners, nil
}
