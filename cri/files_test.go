// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

func TestResolvConf(t *testing.T) {
	host, err := hostFile("/etc/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		dns  *criapi.DNSConfig
		want string
	}{
		{nil, host},
		{&criapi.DNSConfig{}, ""},
		{
			&criapi.DNSConfig{Servers: []string{"10.0.0.10", "::1"}, Searches: []string{"default.svc", "svc"}, Options: []string{"ndots:5"}},
			"search default.svc svc\nnameserver 10.0.0.10\nnameserver ::1\noptions ndots:5\n",
		},
	} {
		if got, err := resolvConf(tc.dns); err != nil || got != tc.want {
			t.Errorf("got %q, %v, want %q", got, err, tc.want)
		}
	}
	if _, err := resolvConf(&criapi.DNSConfig{Searches: []string{"a\nnameserver 10.0.0.1"}}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("two lines in one entry: %v", err)
	}
}

// FuzzSandbox: whatever a client sends as a pod's configuration is refused, or
// becomes files that say no more than it does, and a thread that changes nothing of
// the host.
func FuzzSandbox(f *testing.F) {
	for _, config := range []*criapi.PodSandboxConfig{
		{},
		{
			Hostname:  "web",
			DnsConfig: &criapi.DNSConfig{Servers: []string{"10.0.0.10"}, Searches: []string{"a", "b"}, Options: []string{"ndots:5"}},
			Linux:     &criapi.LinuxPodSandboxConfig{Sysctls: map[string]string{"net.core.somaxconn": "1", "kernel.sem": "1 1 1 1", "fs/mqueue/msg_max": "1"}},
		},
		{Hostname: "host", Linux: hostNamespaces()},
	} {
		b, err := proto.Marshal(config)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "")
		f.Add(b, "/run/netns/x")
	}
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, netns string) {
		config := &criapi.PodSandboxConfig{}
		if proto.Unmarshal(b, config) != nil {
			return
		}
		p := &pod{config: config, netns: netns}
		spec, err := p.parked(Config{UnprivilegedPorts: true, UnprivilegedICMP: true})
		if err == nil {
			checkParked(t, spec, netns)
		} else if !errdefs.IsInvalidArgument(err) && !errdefs.IsNotImplemented(err) {
			t.Errorf("an error of no class: %v", err)
		}
		if err := makeFiles(root, "id", config); err == nil {
			checkFiles(t, filesDir(root, "id"), config)
		} else if !errdefs.IsInvalidArgument(err) {
			t.Errorf("an error of no class: %v", err)
		}
	})
}

func checkParked(t *testing.T, spec *jail.Spec, netns string) {
	t.Helper()
	if spec.UID != nobody || spec.GID != nobody || spec.Caps != 0 || spec.NetNS != netns || spec.Hostname != "" && !spec.NewUTS {
		t.Errorf("parked as %+v", spec)
	}
	for _, ctl := range spec.Sysctls {
		network := strings.HasPrefix(ctl.Path, "/proc/sys/net/")
		ipc := strings.HasPrefix(ctl.Path, "/proc/sys/kernel/") || strings.HasPrefix(ctl.Path, "/proc/sys/fs/mqueue/")
		if strings.Contains(ctl.Path+"/", "/../") || !(network && (spec.NetNS != "" || spec.NewNetNS) || ipc && spec.NewIPC) {
			t.Errorf("%q is not the pod's: %+v", ctl.Path, spec)
		}
	}
}

func checkFiles(t *testing.T, dir string, config *criapi.PodSandboxConfig) {
	t.Helper()
	content := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if got := content("hostname"); config.GetHostname() != "" && got != config.GetHostname()+"\n" {
		t.Errorf("hostname is %q", got)
	}
	dns := config.GetDnsConfig()
	if dns == nil {
		return
	}
	lines := len(dns.GetServers()) + min(1, len(dns.GetSearches())) + min(1, len(dns.GetOptions()))
	if got := content("resolv.conf"); strings.Count(got, "\n") != lines {
		t.Errorf("resolv.conf is %q", got)
	}
}
