// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// volumes are the mounts of a guest, with the sources of bind mounts held open: from the
// first look at one to its mount it may take minutes, if a module is to be compiled, in
// which who may write the directory that it is in could put another in its place.
type volumes struct {
	mounts []jail.Mount
	files  []*os.File // nil for a tmpfs
}

// openVolumes opens the sources of those mounts that matter to a guest with that memory
// limit, or 0. The caller closes them when the guest is there.
//
// Errors name the mount: those of guestMounts, and of jail.Mount.Open; PermissionDenied:
// the source is procfs.
func openVolumes(spec []specs.Mount, memory uint64) (*volumes, error) {
	mounts, err := guestMounts(spec, memory)
	if err != nil {
		return nil, err
	}
	v := &volumes{}
	for _, m := range mounts {
		file, err := openSource(&m)
		if err != nil {
			v.close()
			return nil, fmt.Errorf("mount on %q: %w", m.Target, err)
		}
		v.mounts, v.files = append(v.mounts, m), append(v.files, file)
	}
	return v, nil
}

func (v *volumes) close() {
	for _, f := range v.files {
		f.Close() // of a nil File, an error
	}
}

func openSource(m *jail.Mount) (*os.File, error) {
	if m.Source == "" {
		return nil, nil
	}
	f, err := m.Open()
	if err != nil {
		return nil, err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		f.Close()
		return nil, fmt.Errorf("source %q: statfs: %w", m.Name, err)
	}
	if st.Type == unix.PROC_SUPER_MAGIC {
		f.Close()
		return nil, fmt.Errorf("source %q is procfs, which would show the daemon to the guest: %w", m.Name, errdefs.ErrPermissionDenied)
	}
	return f, nil
}

// covered are the mounts, each followed by those that keep what is procfs below its
// source now from the guest. In procfs, /proc/self is the daemon, whose memory and files
// the kernel shows to any of its threads.
func (v *volumes) covered() ([]jail.Mount, error) {
	var proc []*mountinfo.Info
	var out []jail.Mount
	for i, m := range v.mounts {
		out = append(out, m)
		if m.Source == "" || !m.Recursive {
			continue
		}
		if proc == nil {
			var err error
			if proc, err = mountinfo.GetMounts(mountinfo.FSTypeFilter("proc")); err != nil {
				return nil, fmt.Errorf("reading the host's mounts: %w", err)
			}
		}
		// Where it is now, with no symlink in it.
		source, err := os.Readlink(m.Source)
		if err != nil {
			return nil, fmt.Errorf("mount on %q: where is source %q: %w", m.Target, v.files[i].Name(), err)
		}
		out = append(out, coversOf(source, m.Target, proc)...)
	}
	return out, nil
}

// coversOf covers those mounts of procfs that are below a source.
func coversOf(source, target string, proc []*mountinfo.Info) (covers []jail.Mount) {
	for _, p := range proc {
		rel, err := filepath.Rel(source, p.Mountpoint)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		covers = append(covers, jail.Mount{Target: path.Join(target, rel), Attr: unix.MOUNT_ATTR_RDONLY, Options: "size=4k"})
	}
	return covers
}
