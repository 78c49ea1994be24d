// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// kernelViews are file systems that show the kernel, processes or devices to
// a Linux program. A guest has no system calls to use them with, and they
// would show it the host.
var kernelViews = []string{"proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "bpf", "securityfs"}

// maxMounts is far above what a pod has.
const maxMounts = 1000

// linuxPlaces are where every Linux container has a tmpfs or shared memory.
var linuxPlaces = []string{"/dev", "/dev/shm", "/run"}

// guestMounts picks the mounts that matter to a guest. It looks at no file.
//
// Errors: InvalidArgument: a malformed mount; NotImplemented: a kind of mount
// that a guest cannot have. Both name the mount.
func guestMounts(mounts []specs.Mount) ([]jail.Mount, error) {
	if len(mounts) > maxMounts {
		return nil, fmt.Errorf("%d mounts, more than %d: %w", len(mounts), maxMounts, errdefs.ErrInvalidArgument)
	}
	var out []jail.Mount
	for _, m := range mounts {
		if slices.Contains(kernelViews, m.Type) {
			continue
		}
		target := path.Clean(m.Destination)
		if target == "/dev/shm" || m.Type == "tmpfs" && slices.Contains(linuxPlaces, target) {
			continue
		}
		jm, err := guestMount(m)
		if err != nil {
			return nil, fmt.Errorf("mount on %q: %w", m.Destination, err)
		}
		out = append(out, jm)
	}
	return out, nil
}

func guestMount(m specs.Mount) (jail.Mount, error) {
	jm := jail.Mount{Target: path.Clean(m.Destination)}
	if !path.IsAbs(m.Destination) || jm.Target == "/" {
		return jm, fmt.Errorf("not an absolute path below /: %w", errdefs.ErrInvalidArgument)
	}
	if len(m.UIDMappings) > 0 || len(m.GIDMappings) > 0 {
		return jm, fmt.Errorf("uidMappings, gidMappings: mounts of guests are not id-mapped: %w", errdefs.ErrNotImplemented)
	}
	switch {
	case isBind(m):
		if !path.IsAbs(m.Source) {
			return jm, fmt.Errorf("source %q is not an absolute path: %w", m.Source, errdefs.ErrInvalidArgument)
		}
		jm.Source = m.Source
	case m.Type != "tmpfs":
		return jm, fmt.Errorf("type %q: guests of runtime %s have bind mounts and tmpfs: %w", m.Type, Name, errdefs.ErrNotImplemented)
	}
	var values []string
	for _, o := range m.Options {
		switch handled, err := mountOption(&jm, o); {
		case err != nil:
			return jm, err
		case handled:
		case jm.Source == "" && strings.Contains(o, "="):
			values = append(values, o)
		default:
			return jm, fmt.Errorf("option %q is not known: %w", o, errdefs.ErrInvalidArgument)
		}
	}
	jm.Options = strings.Join(values, ",")
	return jm, nil
}

func isBind(m specs.Mount) bool {
	return m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

// mountOption applies an option of mount(8) and says whether it knows it.
func mountOption(m *jail.Mount, option string) (handled bool, err error) {
	switch option {
	case "rbind":
		m.Recursive = true
	case "ro":
		m.Attr |= unix.MOUNT_ATTR_RDONLY
	case "rro":
		m.Attr |= unix.MOUNT_ATTR_RDONLY
		m.AttrRecursive = true
	case "noexec":
		m.Attr |= unix.MOUNT_ATTR_NOEXEC
	case "noatime":
		accessTimes(m, unix.MOUNT_ATTR_NOATIME)
	case "relatime":
		accessTimes(m, unix.MOUNT_ATTR_RELATIME)
	case "strictatime":
		accessTimes(m, unix.MOUNT_ATTR_STRICTATIME)
	case "nodiratime":
		m.Attr |= unix.MOUNT_ATTR_NODIRATIME
	case "bind", "rw", "nosuid", "nodev", "suid", "dev", "exec",
		"private", "rprivate", "defaults", "tmpcopyup":
	case "slave", "rslave":
		return false, noPropagation(option, "HostToContainer")
	case "shared", "rshared":
		return false, noPropagation(option, "Bidirectional")
	case "idmap", "ridmap":
		return false, fmt.Errorf("option %q: mounts of guests are not id-mapped: %w", option, errdefs.ErrNotImplemented)
	default:
		return false, nil
	}
	return true, nil
}

// accessTimes: the last option holds, and not what the source of a bind mount has.
func accessTimes(m *jail.Mount, attr uint64) {
	m.Attr = m.Attr&^unix.MOUNT_ATTR__ATIME | attr
	m.AttrClear |= unix.MOUNT_ATTR__ATIME
}

// noPropagation: what is mounted below the source later would have neither NODEV nor
// the other attributes of the guest's mount, and could be procfs.
func noPropagation(option, kubernetes string) error {
	return fmt.Errorf("option %q: mounts of guests do not propagate (in Kubernetes, mountPropagation: %s): %w", option, kubernetes, errdefs.ErrNotImplemented)
}
