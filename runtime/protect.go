// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/snapshotter"
)

// maxProtected is the number of modules up to which a mount for each costs
// less than a copy.
const maxProtected = 16

// protectModules keeps a guest, and its execs, from changing modules of its root that
// other containers share (package snapshotter). Their mode is not enough: root has
// CAP_DAC_OVERRIDE by default, and the owner of a file sets its times and links it
// without any capability. So each becomes a read-only mount of itself, which holds
// for everybody.
func protectModules(ctx context.Context, js *jail.Spec, root *rootfs) error {
	// What was mounted here is of a snapshotter that copies before a write. A
	// directory of the client's may be one of ours, mounted.
	if root.mounted != "" || js.RootfsReadonly {
		return nil
	}
	shared, err := snapshotter.SharedModules(ctx, root.path, maxProtected)
	if err != nil {
		return err
	}
	if len(shared) > maxProtected {
		return snapshotter.Privatize(ctx, root.path)
	}
	protected := make([]jail.Mount, 0, len(shared)+len(js.Mounts))
	for _, name := range shared {
		protected = append(protected, jail.Mount{
			Source: filepath.Join(root.path, name),
			Target: "/" + name,
			Attr:   unix.MOUNT_ATTR_RDONLY,
		})
	}
	// First: a volume may cover the directory that a module is in.
	js.Mounts = append(protected, js.Mounts...)
	return nil
}

// unshareModules does the same for a container that another runtime runs, also one of
// Linux in a pod of ours: it has system calls, and a root that is mounted as it is. Only
// a snapshot that is a plain directory has files of others, and only one to write to. Those
// of other snapshotters that are look the same, and have few such links to lose.
func unshareModules(ctx context.Context, rootfs []mount.Mount) error {
	if len(rootfs) != 1 || rootfs[0].Type != "bind" || slices.Contains(rootfs[0].Options, "ro") {
		return nil
	}
	if err := snapshotter.Privatize(ctx, rootfs[0].Source); err != nil {
		return fmt.Errorf("giving the container modules of its own: %w", err)
	}
	return nil
}

// sealed says whether an opened module is one that the snapshotter shares, so
// that nobody can change it.
func sealed(f *os.File, js *jail.Spec, root *rootfs) bool {
	if m, _ := covering(js.Mounts, f.Name()); m != nil || !root.flat {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink > 1 && snapshotter.MayBeSealed(info)
}
