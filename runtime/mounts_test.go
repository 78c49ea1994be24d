// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

func TestGuestMounts(t *testing.T) {
	for _, tc := range []struct {
		desc  string
		mount specs.Mount
		want  []jail.Mount
	}{
		{"a directory", bind("/src", "/data", "rbind", "rw"),
			[]jail.Mount{{Source: "/src", Target: "/data", Recursive: true}}},
		{"a read-only directory", bind("/src", "/data", "bind", "ro"),
			[]jail.Mount{{Source: "/src", Target: "/data", Attr: unix.MOUNT_ATTR_RDONLY}}},
		{"read-only with what is mounted below", bind("/src", "/data", "rbind", "rro"),
			[]jail.Mount{{Source: "/src", Target: "/data", Attr: unix.MOUNT_ATTR_RDONLY, Recursive: true, AttrRecursive: true}}},
		{"a target that is not clean", bind("/src", "/data/../etc//x"),
			[]jail.Mount{{Source: "/src", Target: "/etc/x"}}},
		{"a bind mount told by its options", specs.Mount{Type: "none", Source: "/src", Destination: "/data", Options: []string{"rbind", "rprivate"}},
			[]jail.Mount{{Source: "/src", Target: "/data", Recursive: true}}},
		{"a tmpfs with options", specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: "/scratch", Options: []string{"noexec", "size=1m", "mode=1777"}},
			[]jail.Mount{{Target: "/scratch", Attr: unix.MOUNT_ATTR_NOEXEC, Options: "size=1m,mode=1777"}}},
		{"access times", bind("/src", "/data", "strictatime", "noatime", "nodiratime"),
			[]jail.Mount{{Source: "/src", Target: "/data", Attr: unix.MOUNT_ATTR_NOATIME | unix.MOUNT_ATTR_NODIRATIME, AttrClear: unix.MOUNT_ATTR__ATIME}}},
		{"access times as usual", bind("/src", "/data", "noatime", "relatime"),
			[]jail.Mount{{Source: "/src", Target: "/data", AttrClear: unix.MOUNT_ATTR__ATIME}}},
		{"/proc", specs.Mount{Type: "proc", Source: "proc", Destination: "/proc"}, nil},
		{"/sys/fs/cgroup", specs.Mount{Type: "cgroup2", Source: "cgroup", Destination: "/sys/fs/cgroup"}, nil},
		{"the tmpfs of every Linux container", specs.Mount{Type: "tmpfs", Destination: "/dev", Options: []string{"size=65536k"}}, nil},
		{"the pod's shared memory", bind("/run/shm", "/dev/shm"), nil},
		{"a device directory of the client's own", bind("/src", "/dev/termination-log"),
			[]jail.Mount{{Source: "/src", Target: "/dev/termination-log"}}},
	} {
		t.Run(tc.desc, func(t *testing.T) {
			got, err := guestMounts([]specs.Mount{tc.mount})
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Fatalf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

func bind(source, target string, options ...string) specs.Mount {
	return specs.Mount{Type: "bind", Source: source, Destination: target, Options: options}
}

func TestMountsThatAGuestCannotHave(t *testing.T) {
	ids := []specs.LinuxIDMapping{{HostID: 1000, Size: 1}}
	mapped := func(m specs.Mount) specs.Mount {
		m.Type, m.Source, m.Destination = "bind", "/src", "/data"
		return m
	}
	for _, tc := range []struct {
		desc  string
		mount specs.Mount
		is    func(error) bool
		want  string
	}{
		{"a relative target", bind("/src", "data"), errdefs.IsInvalidArgument, `mount on "data": not an absolute path`},
		{"the root", bind("/src", "/x/.."), errdefs.IsInvalidArgument, `mount on "/x/..": not an absolute path below /`},
		{"a relative source", bind("src", "/data"), errdefs.IsInvalidArgument, `source "src" is not an absolute path`},
		{"another type", specs.Mount{Type: "nfs", Destination: "/data"}, errdefs.IsNotImplemented, `type "nfs"`},
		{"propagation", bind("/src", "/data", "rshared"), errdefs.IsNotImplemented, `option "rshared": mounts of guests do not propagate (in Kubernetes, mountPropagation: Bidirectional)`},
		{"propagation one way", bind("/src", "/data", "slave"), errdefs.IsNotImplemented, `option "slave": mounts of guests do not propagate (in Kubernetes, mountPropagation: HostToContainer)`},
		{"user ids that are mapped", mapped(specs.Mount{UIDMappings: ids}), errdefs.IsNotImplemented, `mount on "/data": uidMappings`},
		{"group ids that are mapped", mapped(specs.Mount{GIDMappings: ids}), errdefs.IsNotImplemented, `mount on "/data": uidMappings, gidMappings`},
		{"id mapping", bind("/src", "/data", "idmap"), errdefs.IsNotImplemented, `option "idmap"`},
		{"a misspelt option", bind("/src", "/data", "readonly"), errdefs.IsInvalidArgument, `option "readonly" is not known`},
	} {
		t.Run(tc.desc, func(t *testing.T) {
			_, err := guestMounts([]specs.Mount{tc.mount})
			if err == nil || !tc.is(err) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %s", err, tc.want)
			}
		})
	}
}
