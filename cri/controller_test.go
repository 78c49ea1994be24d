// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"testing"

	"github.com/containerd/containerd/v2/core/sandbox"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestHostPID(t *testing.T) {
	c := New(Config{Root: t.TempDir()})
	for mode, want := range map[criapi.NamespaceMode]bool{
		criapi.NamespaceMode_NODE: true, criapi.NamespaceMode_POD: false, criapi.NamespaceMode_CONTAINER: false,
	} {
		id := mode.String()
		config := &criapi.PodSandboxConfig{Linux: &criapi.LinuxPodSandboxConfig{SecurityContext: &criapi.LinuxSandboxSecurityContext{
			NamespaceOptions: &criapi.NamespaceOption{Pid: mode},
		}}}
		if err := c.Create(t.Context(), sandbox.Sandbox{ID: id}, sandbox.WithOptions(config)); err != nil {
			t.Fatal(err)
		}
		if got := c.HostPID(id); got != want {
			t.Errorf("%s: %t, want %t", id, got, want)
		}
	}
	if err := c.Create(t.Context(), sandbox.Sandbox{ID: "empty"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"empty", "unknown", ""} {
		if c.HostPID(id) {
			t.Errorf("sandbox %q has the host's", id)
		}
	}
}
