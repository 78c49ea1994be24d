// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

func TestRestrict(t *testing.T) {
	spec := &specs.Spec{
		Process: &specs.Process{
			ApparmorProfile: "unconfined",
			Rlimits: []specs.POSIXRlimit{
				{Type: "RLIMIT_CORE"},
				{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200},
				{Type: "RLIMIT_STACK", Soft: 1 << 20, Hard: math.MaxUint64},
				{Type: "RLIMIT_AS", Soft: math.MaxUint64, Hard: math.MaxUint64},
			},
		},
		Linux: &specs.Linux{
			MaskedPaths:   []string{"/proc/kcore"},
			ReadonlyPaths: []string{"/proc/sys"},
			Personality:   &specs.LinuxPersonality{Domain: specs.PerLinux},
		},
	}
	got, want := jail.Spec{StackSize: 8 << 20}, jail.Spec{
		MaxFiles: 100, StackSize: 1 << 20, Masked: []string{"/proc/kcore"}, Readonly: []string{"/proc/sys"},
	}
	if err := errors.Join(restrictProcess(&got, spec.Process), restrict(&got, spec.Linux)); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

func TestLimitsThatCannotBeAsSmall(t *testing.T) {
	js := jail.Spec{StackSize: 8 << 20}
	err := rlimits(&js, []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE"}, {Type: "RLIMIT_STACK", Soft: 1, Hard: 1}})
	if err != nil || js.MaxFiles != 4 || js.StackSize != minStack {
		t.Fatalf("%d files, %d bytes of stack, %v", js.MaxFiles, js.StackSize, err)
	}
}

func TestWhatAThreadCannotHave(t *testing.T) {
	class := uint32(1)
	process := func(p specs.Process) specs.Spec { return specs.Spec{Process: &p} }
	linux := func(l specs.Linux) specs.Spec { return specs.Spec{Process: &specs.Process{}, Linux: &l} }
	namespaces := func(ns ...specs.LinuxNamespace) specs.Spec { return linux(specs.Linux{Namespaces: ns}) }
	limit := func(l ...specs.POSIXRlimit) specs.Spec { return process(specs.Process{Rlimits: l}) }
	refused, invalid := errdefs.IsNotImplemented, errdefs.IsInvalidArgument
	for _, tc := range []struct {
		want string
		is   func(error) bool
		spec specs.Spec
	}{
		{"user namespace", refused, namespaces(specs.LinuxNamespace{Type: specs.UserNamespace})},
		{`namespace of type "odd"`, invalid, namespaces(specs.LinuxNamespace{Type: "odd"})},
		{`two namespaces of type "network"`, invalid, namespaces(specs.LinuxNamespace{Type: specs.NetworkNamespace}, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/proc/1/ns/net"})},
		{"user or group 4294967295", invalid, process(specs.Process{User: specs.User{UID: math.MaxUint32}})},
		{"user or group 4294967295", invalid, process(specs.Process{User: specs.User{GID: math.MaxUint32}})},
		{"user or group 4294967295", invalid, process(specs.Process{User: specs.User{AdditionalGids: []uint32{1, math.MaxUint32}}})},
		{`capability "CAP_NONE"`, invalid, process(specs.Process{Capabilities: &specs.LinuxCapabilities{Effective: []string{"CAP_NONE"}}})},
		{`SELinux label "a:b:c"`, refused, process(specs.Process{SelinuxLabel: "a:b:c"})},
		{"RLIMIT_AS: a thread cannot have it", refused, limit(specs.POSIXRlimit{Type: "RLIMIT_AS", Soft: 1, Hard: 1})},
		{"RLIMIT_CPU", refused, limit(specs.POSIXRlimit{Type: "RLIMIT_CPU", Soft: 1, Hard: 1})},
		{"RLIMIT_DATA", refused, limit(specs.POSIXRlimit{Type: "RLIMIT_DATA", Soft: 1, Hard: 1})},
		{"RLIMIT_FSIZE", refused, limit(specs.POSIXRlimit{Type: "RLIMIT_FSIZE", Hard: 1})},
		{`rlimit "RLIMIT_ODD" is not known`, invalid, limit(specs.POSIXRlimit{Type: "RLIMIT_ODD", Soft: math.MaxUint64, Hard: math.MaxUint64})},
		{`rlimit "RLIMIT_NOFILE" is there twice`, invalid, limit(specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 1, Hard: 1}, specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 1000, Hard: 1000})},
		{"its soft limit 2 is above its hard limit 1", invalid, limit(specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: 2, Hard: 1})},
		{`device "/dev/kvm"`, refused, linux(specs.Linux{Devices: []specs.LinuxDevice{{Path: "/dev/kvm"}}})},
		{`network device "eth1"`, refused, linux(specs.Linux{NetDevices: map[string]specs.LinuxNetDevice{"eth2": {}, "eth1": {}}})},
		{"linux.memoryPolicy", refused, linux(specs.Linux{MemoryPolicy: &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0"}})},
		{"linux.intelRdt", refused, linux(specs.Linux{IntelRdt: &specs.LinuxIntelRdt{}})},
		{`personality "LINUX32"`, refused, linux(specs.Linux{Personality: &specs.LinuxPersonality{Domain: specs.PerLinux32}})},
		{"classID", refused, linux(specs.Linux{Resources: &specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: &class}}})},
		{`masked path "x"`, invalid, linux(specs.Linux{MaskedPaths: []string{"x"}})},
		{`masked path "/x/.."`, invalid, linux(specs.Linux{MaskedPaths: []string{"/x/.."}})},
		{`read-only path "/"`, invalid, linux(specs.Linux{ReadonlyPaths: []string{"/"}})},
		{"1001 masked paths", invalid, linux(specs.Linux{MaskedPaths: make([]string, 1001)})},
	} {
		err := isolation(&jail.Spec{StackSize: 8 << 20}, &tc.spec)
		if err == nil || !tc.is(err) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

// TestAppArmor runs with and without AppArmor in the kernel.
func TestAppArmor(t *testing.T) {
	var js jail.Spec
	err := apparmor(&js, "a-profile")
	if hasAppArmor() {
		if err != nil || js.AppArmor != "a-profile" {
			t.Errorf("got %q, %v", js.AppArmor, err)
		}
	} else if !errdefs.IsNotImplemented(err) || !strings.Contains(err.Error(), `"a-profile": AppArmor is not enabled in this kernel`) {
		t.Errorf("got %v", err)
	}
}
