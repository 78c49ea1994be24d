// SPDX-License-Identifier: Apache-2.0

package snapshotter_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/testsuite"
	"github.com/containerd/containerd/v2/pkg/testutil"
	bolt "go.etcd.io/bbolt"

	"github.com/containerd-wasm/containerd-wasm/snapshotter"
)

func TestSnapshotterKeepsTheContract(t *testing.T) {
	testutil.RequiresRoot(t)
	testsuite.SnapshotterSuite(t, "wasm", func(_ context.Context, root string) (snapshots.Snapshotter, func() error, error) {
		sn, err := snapshotter.New(root)
		if err != nil {
			return nil, nil, err
		}
		return sn, sn.Close, nil
	})
}

func TestSnapshotterKeepsTheContractBehindTheMetadataStore(t *testing.T) {
	testutil.RequiresRoot(t)
	testsuite.SnapshotterSuite(t, "metadata-wasm", func(_ context.Context, root string) (snapshots.Snapshotter, func() error, error) {
		backend, err := snapshotter.New(filepath.Join(root, "wasm"))
		if err != nil {
			return nil, nil, err
		}
		db, err := bolt.Open(filepath.Join(root, "metadata.db"), 0o600, nil)
		if err != nil {
			return nil, nil, err
		}
		sn := metadata.NewDB(db, nil, map[string]snapshots.Snapshotter{"wasm": backend}).Snapshotter("wasm")
		return sn, func() error {
			if err := sn.Close(); err != nil {
				return err
			}
			return db.Close()
		}, nil
	})
}
