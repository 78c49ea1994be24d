// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestNamespacesOfTheRecord(t *testing.T) {
	for desc, tc := range map[string]struct {
		options *criapi.NamespaceOption
		want    []specs.LinuxNamespace
	}{
		"own": {nil, []specs.LinuxNamespace{{Type: "ipc"}, {Type: "uts"}, {Type: "network", Path: "/run/netns/x"}}},
		"host's network": {
			&criapi.NamespaceOption{Network: criapi.NamespaceMode_NODE}, []specs.LinuxNamespace{{Type: "ipc"}},
		},
		"host's": {&criapi.NamespaceOption{Network: criapi.NamespaceMode_NODE, Ipc: criapi.NamespaceMode_NODE}, nil},
	} {
		p := &pod{netns: "/run/netns/x", config: &criapi.PodSandboxConfig{Linux: &criapi.LinuxPodSandboxConfig{
			SecurityContext: &criapi.LinuxSandboxSecurityContext{NamespaceOptions: tc.options},
		}}}
		if got := p.namespaces(); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", desc, got, tc.want)
		}
	}
}
