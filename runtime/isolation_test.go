// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"math"
	"reflect"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

func TestIsolation(t *testing.T) {
	umask, limit := uint32(0o077), int64(1<<20)
	spec := &specs.Spec{
		Process: &specs.Process{
			User: specs.User{UID: 1000, GID: 2000, AdditionalGids: []uint32{3000}, Umask: &umask},
			Env:  []string{"A=b"},
			Cwd:  "/work",
			Capabilities: &specs.LinuxCapabilities{
				Effective: []string{"CAP_DAC_OVERRIDE"},
				Ambient:   []string{"CAP_NET_BIND_SERVICE"},
			},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace, Path: "/run/netns/x"}},
			Resources:  &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}},
		},
	}
	var got jail.Spec
	if err := isolation(&got, spec); err != nil {
		t.Fatal(err)
	}
	want := jail.Spec{
		UID: 1000, GID: 2000, Groups: []uint32{3000}, Umask: 0o077,
		Env:         []string{"A=b", "PWD=/work"},
		NetNS:       "/run/netns/x",
		MemoryLimit: 1 << 20,
		Caps:        1 << 10, // CAP_NET_BIND_SERVICE: ambient, as this is not root
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func TestMemoryLimits(t *testing.T) {
	for given, want := range map[int64]uint64{-1: 0, 0: 0, 1: 1, 1 << 40: 1 << 40, -2: math.MaxUint64, math.MinInt64: math.MaxUint64} {
		spec := &specs.Spec{Process: &specs.Process{}, Linux: &specs.Linux{Resources: &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &given}}}}
		var js jail.Spec
		err := isolation(&js, spec)
		if refused := want == math.MaxUint64; refused != errdefs.IsInvalidArgument(err) || !refused && js.MemoryLimit != want {
			t.Errorf("%d: %d, %v", given, js.MemoryLimit, err)
		}
	}
}

func TestNetworkNamespaces(t *testing.T) {
	for _, tc := range []struct {
		desc string
		all  []specs.LinuxNamespace
		want jail.Spec
	}{
		{"the host's", nil, jail.Spec{}},
		{"a new one", []specs.LinuxNamespace{{Type: specs.NetworkNamespace}}, jail.Spec{NewNetNS: true}},
		{"the pod's", []specs.LinuxNamespace{{Type: specs.NetworkNamespace, Path: "/p"}}, jail.Spec{NetNS: "/p"}},
	} {
		var got jail.Spec
		if err := joinNamespaces(&got, tc.all); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %+v, %v", tc.desc, got, err)
		}
	}
}

func TestRootIsLeftOnlyWithWhatGuestsCanUse(t *testing.T) {
	set, err := capabilities(&specs.Process{Capabilities: &specs.LinuxCapabilities{
		Effective: []string{"CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SETUID", "CAP_SETGID", "CAP_SYS_PTRACE", "CAP_MKNOD"},
	}})
	if err != nil || set != 0 {
		t.Fatalf("capabilities %#x, %v", set, err)
	}
}

func TestWorkingDirectoryOfTheClientStays(t *testing.T) {
	p := &specs.Process{Env: []string{"PWD=/own"}, Cwd: "/work"}
	if got := environment(p); !reflect.DeepEqual(got, []string{"PWD=/own"}) {
		t.Fatalf("got %q", got)
	}
}
