// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// maxPath is the longest path in a committed tree, in bytes: PATH_MAX without
// the NUL. Layers cannot contain longer ones. It bounds the depth of what clone
// recurses into, and lets it name each file of a tree in one system call.
const maxPath = unix.PathMax - 1

// sealTree makes the tree at dir ready to be committed: each module gets
// moduleMode. It returns the tree's usage, for which one walk is enough. A path
// longer than maxPath is ErrInvalidArgument. Sealing twice does no harm.
func sealTree(ctx context.Context, dir string) (snapshots.Usage, error) {
	var t tally
	err := walkTree(ctx, dir, &t, func(e *entry) error {
		if n := e.w.length - 1 + len(e.name); n > maxPath {
			return fmt.Errorf("path %.64q... has %d bytes, more than %d: %w", e.path(), n, maxPath, errdefs.ErrInvalidArgument)
		}
		if mayBeModule(&e.Stat_t) && permissions(&e.Stat_t) != moduleMode {
			if err := sealModule(e); err != nil {
				return pathError("seal", e.path(), err)
			}
		}
		reach(pointSealed)
		return nil
	})
	return t.usage, err
}

func sealModule(e *entry) error {
	fd, err := openFile(e.dirfd, e.name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	module, err := isModule(fd)
	if err != nil || !module {
		return err
	}
	return retry(func() error { return unix.Fchmod(fd, moduleMode) })
}
