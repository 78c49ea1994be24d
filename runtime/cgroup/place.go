// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/errdefs"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// place is the directory below which guests' groups are.
type place struct {
	mount string // mount point of the hierarchy
	dir   string
	v2    bool
}

// Place is the directory with the groups of a daemon that has the given state
// directory and is in the caller's group.
//
// Errors: FailedPrecondition: the host has no cgroups for CPU time.
func Place(state string) (string, error) {
	p, err := findPlace(state)
	return p.dir, err
}

func findPlace(state string) (place, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return place{}, err
	}
	v1, v2, err := cgroups.ParseCgroupFileUnified("/proc/self/cgroup")
	if err != nil {
		return place{}, err
	}
	return placeAmong(mounts, v1, v2, state)
}

// placeAmong looks for a version 1 hierarchy with the cpu controller before
// that of version 2, which has no such controller then. v1 and v2 are this
// process's groups: of the controllers, and in the unified hierarchy.
func placeAmong(mounts []*mountinfo.Info, v1 map[string]string, v2, state string) (place, error) {
	own, ok := v1["cpu"]
	for _, m := range mounts {
		isV1 := m.FSType == "cgroup" && slices.Contains(strings.Split(m.VFSOptions, ","), "cpu")
		if ok && !isV1 || !ok && m.FSType != "cgroup2" {
			continue
		}
		if !ok {
			own = v2
		}
		// Only a part of the hierarchy may be mounted, as in a container.
		rel, err := filepath.Rel(m.Root, own)
		if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
			continue
		}
		name := url.PathEscape("containerd-wasm" + state)
		return place{mount: m.Mountpoint, dir: filepath.Join(m.Mountpoint, rel, name), v2: !ok}, nil
	}
	return place{}, fmt.Errorf("no cgroup file system with the cpu controller is mounted that shows this process: %w", errdefs.ErrFailedPrecondition)
}

// join is the file to which a thread writes "0" to move itself into a group.
func (p place) join(dir string) string {
	if p.v2 {
		return filepath.Join(dir, "cgroup.threads")
	}
	return filepath.Join(dir, "tasks")
}

// claim makes the place and locks it until the process ends.
func (p place) claim() (*os.File, error) {
	if err := p.mkdir(p.dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	f, err := os.Open(p.dir)
	if err != nil {
		return nil, hostError(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%q is in use by another daemon with the same state directory: %w: %w", p.dir, err, errdefs.ErrFailedPrecondition)
	}
	return f, nil
}

// mkdir makes a group. Below one of threads the kernel makes one that is not
// usable before it is told what it is.
func (p place) mkdir(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return hostError(err)
	}
	if !p.v2 {
		return nil
	}
	err := write(filepath.Join(path, "cgroup.type"), "threaded")
	if err != nil {
		os.Remove(path)
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = fmt.Errorf("the group above has other groups with processes, or limits their memory: %w", err)
	}
	return err
}

// prepare gives the groups in the place the files of the cpu controller. In
// version 2 that is for each group to allow to those below it.
func (p place) prepare() error {
	if !p.v2 {
		return nil
	}
	rel, err := filepath.Rel(p.mount, p.dir)
	if err != nil {
		return err
	}
	dir := p.mount
	for _, name := range append(strings.Split(rel, "/"), "") {
		file := filepath.Join(dir, "cgroup.subtree_control")
		enabled, err := os.ReadFile(file)
		if err != nil {
			return hostError(err)
		}
		if !slices.Contains(strings.Fields(string(enabled)), "cpu") {
			if err := write(file, "+cpu"); err != nil {
				return err
			}
		}
		dir = filepath.Join(dir, name)
	}
	return nil
}

// clean removes the groups of an earlier daemon.
func (p place) clean() error {
	groups, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	var paths []string
	for _, g := range groups {
		if g.IsDir() {
			paths = append(paths, filepath.Join(p.dir, g.Name()))
		}
	}
	return remove(paths...)
}

// write puts a value into a file of a group. Not by os.WriteFile: what the
// runtime does for files that can block takes longer than the write.
//
// Errors: InvalidArgument: the kernel does not accept it; FailedPrecondition:
// the host lacks the file, or does not let us write it.
func write(path, value string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return hostError(&os.PathError{Op: "open", Path: path, Err: err})
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(value))
	if err != nil {
		return hostError(fmt.Errorf("write %q to %s: %w", value, path, err))
	}
	return nil
}

func hostError(err error) error {
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("%w (a group above may allow less): %w", err, errdefs.ErrInvalidArgument)
	}
	return fmt.Errorf("%w: %w", err, errdefs.ErrFailedPrecondition)
}
