// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// rootfs is a host directory that holds a container's files until release.
// The guest clones it as a detached mount, so it need not stay.
type rootfs struct {
	path     string
	flat     bool   // a snapshot that is a plain directory
	readonly bool   // the snapshot is a view
	mounted  string // mount point to release, or empty
}

// openRootfs finds the directory. A snapshot that is one (a bind mount, as the
// snapshotter wasm gives) is used as it is, with nothing mounted, and so is a
// root that the client prepared (dockerd, ctr run --rootfs). Others, such as
// overlayfs, are mounted at target for the moment.
//
// Errors: InvalidArgument: there is none; NotImplemented: mounts that are more than that.
func openRootfs(target string, root *specs.Root, mounts []mount.Mount) (*rootfs, error) {
	switch {
	case len(mounts) == 0:
		if !filepath.IsAbs(root.Path) {
			return nil, fmt.Errorf("no root file system: no snapshot, and root path %q is not absolute: %w", root.Path, errdefs.ErrInvalidArgument)
		}
		return &rootfs{path: root.Path}, nil
	case len(mounts) == 1 && mounts[0].Type == "bind" && mounts[0].Target == "":
		return &rootfs{path: mounts[0].Source, flat: true, readonly: slices.Contains(mounts[0].Options, "ro")}, nil
	}
	if err := kernelMounts(mounts); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(target, 0o700); err != nil {
		return nil, fmt.Errorf("a mount point for the root file system: %w", err)
	}
	if err := mount.All(mounts, target); err != nil {
		// All may have mounted some of them.
		err = fmt.Errorf("mounting the root file system: %w", err)
		(&rootfs{mounted: target}).release(context.Background())
		return nil, err
	}
	return &rootfs{path: target, mounted: target}, nil
}

func (r *rootfs) release(ctx context.Context) {
	if r.mounted == "" {
		return
	}
	err := mount.UnmountRecursive(r.mounted, 0)
	if err == nil {
		err = os.Remove(r.mounted)
	}
	if err != nil {
		log.G(ctx).WithError(err).WithField("path", r.mounted).Error("releasing a root file system")
	}
}

// kernelMounts refuses what only containerd's mount manager can mount: it has a type with
// what is to be done first, such as "format/mkdir/overlay".
//
// Errors: NotImplemented.
func kernelMounts(mounts []mount.Mount) error {
	for _, m := range mounts {
		if strings.Contains(m.Type, "/") {
			return fmt.Errorf("the root file system is a mount of type %q, which runtime %s cannot have, and which snapshotters such as erofs make: use the snapshotter \"wasm\", or overlayfs: %w", m.Type, Name, errdefs.ErrNotImplemented)
		}
	}
	return nil
}
