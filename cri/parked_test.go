// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

func TestParked(t *testing.T) {
	for _, tc := range []struct {
		desc   string
		netns  string
		config *criapi.PodSandboxConfig
		want   jail.Spec
	}{
		{
			desc:  "a pod with a network of its own",
			netns: "/run/netns/x",
			config: &criapi.PodSandboxConfig{
				Hostname: "web",
				Linux:    &criapi.LinuxPodSandboxConfig{Sysctls: map[string]string{"net.core.somaxconn": "1024", "kernel.shmmax": "1"}},
			},
			want: jail.Spec{
				NetNS: "/run/netns/x", NewUTS: true, NewIPC: true, Hostname: "web",
				Sysctls: []jail.Sysctl{
					{Path: "/proc/sys/kernel/shmmax", Value: "1"},
					{Path: "/proc/sys/net/core/somaxconn", Value: "1024"},
					{Path: "/proc/sys/net/ipv4/ip_unprivileged_port_start", Value: "0"},
					{Path: "/proc/sys/net/ipv4/ping_group_range", Value: "0 2147483647"},
				},
			},
		},
		{
			desc:  "a pod's own sysctl comes before the default",
			netns: "/n",
			config: &criapi.PodSandboxConfig{Linux: &criapi.LinuxPodSandboxConfig{Sysctls: map[string]string{
				"net.ipv4.ip_unprivileged_port_start": "80", "net/ipv4/ping_group_range": "1 1",
			}}},
			want: jail.Spec{
				NetNS: "/n", NewUTS: true, NewIPC: true,
				Sysctls: []jail.Sysctl{
					{Path: "/proc/sys/net/ipv4/ip_unprivileged_port_start", Value: "80"},
					{Path: "/proc/sys/net/ipv4/ping_group_range", Value: "1 1"},
				},
			},
		},
		{
			desc:   "the host's network and IPC",
			config: &criapi.PodSandboxConfig{Hostname: "web", Linux: hostNamespaces()},
			want:   jail.Spec{},
		},
	} {
		t.Run(tc.desc, func(t *testing.T) {
			p := &pod{netns: tc.netns, config: tc.config}
			got, err := p.parked(Config{UnprivilegedPorts: true, UnprivilegedICMP: true})
			tc.want.UID, tc.want.GID = nobody, nobody
			if err != nil || !reflect.DeepEqual(*got, tc.want) {
				t.Fatalf("got  %+v, %v\nwant %+v", got, err, tc.want)
			}
		})
	}
}

func hostNamespaces() *criapi.LinuxPodSandboxConfig {
	return &criapi.LinuxPodSandboxConfig{SecurityContext: &criapi.LinuxSandboxSecurityContext{
		NamespaceOptions: &criapi.NamespaceOption{Network: criapi.NamespaceMode_NODE, Ipc: criapi.NamespaceMode_NODE},
	}}
}

func TestUserNamespaceIsRefused(t *testing.T) {
	p := &pod{config: &criapi.PodSandboxConfig{Linux: &criapi.LinuxPodSandboxConfig{SecurityContext: &criapi.LinuxSandboxSecurityContext{
		NamespaceOptions: &criapi.NamespaceOption{UsernsOptions: &criapi.UserNamespace{Mode: criapi.NamespaceMode_POD}},
	}}}}
	if _, err := p.parked(Config{}); !errdefs.IsNotImplemented(err) {
		t.Fatalf("got %v", err)
	}
}

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.tcp_syncookies":     "/proc/sys/net/ipv4/tcp_syncookies",
		"net/ipv4/conf/eth0.1/mtu":    "/proc/sys/net/ipv4/conf/eth0.1/mtu",
		"kernel.sem":                  "/proc/sys/kernel/sem",
		"fs.mqueue.msg_max":           "/proc/sys/fs/mqueue/msg_max",
		"kernel.hostname":             "",
		"vm.overcommit_memory":        "",
		"net/../kernel/core_pattern":  "",
		"net..ipv4":                   "",
		"/net/ipv4":                   "",
		"net":                         "",
		"kernel.core_pattern":         "",
		"fs.mqueue":                   "",
		"net.ipv4./../../../kernel/x": "",
	} {
		got, err := sysctlPath(name, true, true)
		if got != want || (want == "") != errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
	if _, err := sysctlPath("net.core.somaxconn", false, true); err == nil {
		t.Error("a sysctl of the host's network was allowed")
	}
	if _, err := sysctlPath("kernel.sem", true, false); err == nil {
		t.Error("a sysctl of the host's IPC namespace was allowed")
	}
}

func FuzzSysctlPath(f *testing.F) {
	f.Add("net.ipv4.tcp_syncookies")
	f.Add("net/ipv4/conf/eth0.1/mtu")
	f.Add("net/../kernel/core_pattern")
	f.Fuzz(func(t *testing.T, name string) {
		path, err := sysctlPath(name, true, true)
		if err == nil && (!strings.HasPrefix(path, "/proc/sys/") || strings.Contains(path+"/", "/../") || strings.Contains(path, "//")) {
			t.Errorf("%q is %q", name, path)
		}
	})
}

// TestPodWithoutANetwork: a client of the Sandbox API may bring none.
func TestPodWithoutANetwork(t *testing.T) {
	got, err := (&pod{}).parked(Config{UnprivilegedPorts: true})
	if err != nil || !got.NewNetNS {
		t.Fatalf("its sysctls would be the host's: %+v, %v", got, err)
	}
}

func TestSysctlThatIsThereTwice(t *testing.T) {
	sysctls := map[string]string{"net.ipv4.ip_forward": "0", "net/ipv4/ip_forward": "1"}
	if _, err := ownSysctls(sysctls, true, true); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "twice") {
		t.Fatalf("got %v", err)
	}
}
