// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"net"
	"net/http"
	"strings"
	"testing"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// get is a request that netImage sends, which is answered with one line.
const get = "GET /path HTTP/1.0\r\n\r\n"

// Errors of sockets (errno of WASI preview 1).
const (
	refused     = "sock_connect: error 14\n"
	unreachable = "sock_connect: error 40\n"
)

// talk sends text from a guest in the pod to an address, and returns what that writes.
func (p *pod) talk(t testing.TB, protocol, address, port, text string) string {
	t.Helper()
	c := p.run(t, containerConfig(netImage, protocol, address, port, text))
	c.wait(t)
	return c.wholeLog(t, "stdout")
}

// expectTalk: the answer has want in it.
func (p *pod) expectTalk(t testing.TB, protocol, address, port, text, want string) {
	t.Helper()
	if got := p.talk(t, protocol, address, port, text); !strings.Contains(got, want) {
		t.Errorf("%s to %s, port %s: got %q, want %q", protocol, address, port, got, want)
	}
}

// Loopback is up in each pod, and all containers of a pod share it, and nobody else.
func TestLoopbackIsThePods(t *testing.T) {
	d := webDaemon(t)
	p := wasmPod(t, d, own)
	p.run(t, containerConfig("web", "serve", "127.0.0.1:80")).waitForLog(t, "listening")
	p.run(t, containerConfig("web", "serve", "[::]:81")).waitForLog(t, "listening")
	p.run(t, containerConfig("web", "echo", "[::]:7")).waitForLog(t, "listening")
	want := "hello from " + p.config.GetHostname() + " to /path"
	p.expectTalk(t, "tcp", "127.0.0.1", "80", get, want)
	p.expectTalk(t, "tcp", "localhost", "81", get, want)
	p.expectTalk(t, "tcp", "::1", "81", get, want)
	p.expectTalk(t, "udp", "::1", "7", "text", "text")
	p.expectTalk(t, "udp", "127.0.0.1", "7", "text", "text")
	p.expectTalk(t, "tcp", "127.0.0.1", "82", get, refused)
	other := wasmPod(t, d, own)
	other.expectTalk(t, "tcp", "127.0.0.1", "80", get, refused)
	other.expectTalk(t, "tcp", "::1", "81", get, refused)
	ip := p.status(t).GetNetwork().GetIp()
	other.expectTalk(t, "tcp", ip, "80", get, refused)
	other.expectTalk(t, "tcp", ip, "81", get, want)
}

func TestServerOnTheHostsNetwork(t *testing.T) {
	d := webDaemon(t)
	p := wasmPod(t, d, host)
	address := daemon.FreeAddress()
	p.run(t, containerConfig("web", "serve", address)).waitForLog(t, "listening on "+address)
	want := "hello from " + p.config.GetHostname() + " to /path"
	if got := getFromHost(t, http.DefaultClient, "http://"+address+"/path"); got != want {
		t.Errorf("the host got %q, want %q", got, want)
	}
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	wasmPod(t, d, host).expectTalk(t, "tcp", ip, port, get, want)
	wasmPod(t, d, own).expectTalk(t, "tcp", ip, port, get, refused)
}

func withSysctls(t *testing.T, d *daemon.Daemon, network criapi.NamespaceMode, sysctls map[string]string) *criapi.PodSandboxConfig {
	t.Helper()
	config := podConfig(t, d, network)
	config.Linux.Sysctls = sysctls
	return config
}

func TestSysctls(t *testing.T) {
	d := webDaemon(t)
	p := runPod(t, d, withSysctls(t, d, own, map[string]string{
		"net.ipv4.ip_unprivileged_port_start": "1024",
		"net.core.somaxconn":                  "77",
		"net/ipv4/conf/eth0/rp_filter":        "2",
		"kernel.shm_rmid_forced":              "1",
	}), daemon.Handler)
	netns := "/proc/self/ns/net"
	if got := namespaceFile(t, p, "/proc/sys/net/core/somaxconn"); got != "77\n" {
		t.Errorf("somaxconn in the pod is %q", got)
	}
	if got := namespaceFile(t, p, "/proc/sys/net/ipv4/conf/eth0/rp_filter"); got != "2\n" {
		t.Errorf("rp_filter in the pod is %q", got)
	}
	if got := namespaceFile(t, p, "/proc/sys/kernel/shm_rmid_forced"); got != "1\n" {
		t.Errorf("shm_rmid_forced in the pod is %q", got)
	}
	if got := inNetNS(t, netns, "cat", "/proc/sys/net/core/somaxconn"); got == "77\n" {
		t.Errorf("the host has the pod's somaxconn")
	}
	// Who has no rights may listen from port 1024 on.
	config := func(address string) *criapi.ContainerConfig {
		c := containerConfig("web", "serve", address)
		c.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{RunAsUser: &criapi.Int64Value{Value: 1000}}
		return c
	}
	p.run(t, config(":1024")).waitForLog(t, "listening")
	c := p.run(t, config(":1023"))
	c.expectExit(t, 1, "Error")
	if got := c.wholeLog(t, "stderr"); !strings.Contains(got, "bind: Permission denied") {
		t.Errorf("below port 1024: %q", got)
	}
}

// namespaceFile reads a file in the pod's network and IPC namespaces.
func namespaceFile(t *testing.T, p *pod, path string) string {
	t.Helper()
	pid := podPID(t, p)
	return inNetNS(t, procNS(pid, "net"), "nsenter", "--ipc="+procNS(pid, "ipc"), "cat", path)
}

// What is not the pod's to set is refused, and so is what the kernel does not know.
func TestSysctlErrorNamesTheCause(t *testing.T) {
	d := shared(t)
	for name, tc := range map[string]struct {
		network      criapi.NamespaceMode
		sysctl, text string
		want         []string
	}{
		"the host's":            {own, "kernel.core_pattern", "|/bin/sh", []string{`"kernel.core_pattern" is not one of a namespace of the pod`}},
		"of the host's network": {host, "net.core.somaxconn", "77", []string{`"net.core.somaxconn" is not one of a namespace of the pod`}},
		"unknown":               {own, "net.core.nothing", "1", []string{"/proc/sys/net/core/nothing", "No such file or directory"}},
		"no value for it":       {own, "net.core.somaxconn", "many", []string{"/proc/sys/net/core/somaxconn", "Invalid argument"}},
		"path out of it":        {own, "net/../kernel/core_pattern", "1", []string{"malformed"}},
		"not of a namespace":    {own, "net.core.rmem_max", "1", []string{"/proc/sys/net/core/rmem_max"}},
	} {
		t.Run(name, func(t *testing.T) {
			config := withSysctls(t, d, tc.network, map[string]string{tc.sysctl: tc.text})
			r, err := d.CRI().RunPodSandbox(t.Context(), &criapi.RunPodSandboxRequest{Config: config, RuntimeHandler: daemon.Handler})
			if err == nil {
				(&pod{d: d, id: r.GetPodSandboxId(), config: config, ctx: t.Context()}).remove(t)
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error is %v, want one with %q", err, want)
				}
			}
		})
	}
}
