// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// pid is that of a container's process, or of its guest's thread.
func (c *container) pid(t testing.TB) int {
	t.Helper()
	r, err := c.d.CRI().ContainerStatus(c.ctx, &criapi.ContainerStatusRequest{ContainerId: c.id, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	return infoPID(t, r.GetInfo())
}

// namespace is one of a process or thread, such as "net:[4026531840]".
func namespace(t testing.TB, pid any, kind string) string {
	t.Helper()
	name, err := os.Readlink(fmt.Sprintf("/proc/%v/ns/%s", pid, kind))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// sidecarConfig describes a Linux container that sleeps.
func sidecarConfig(pid criapi.NamespaceMode, args ...string) *criapi.ContainerConfig {
	config := containerConfig(images.Native("sleep").Ref, args...)
	config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{NamespaceOptions: &criapi.NamespaceOption{Pid: pid}}
	return config
}

// linux is a daemon that has run a Linux container in a pod of ours, which makes what
// stays, such as the cgroup that pods are in.
var linux = daemon.Shared(func(t testing.TB, d *daemon.Daemon) {
	d.Import(t, images.Native("sleep"), images.Native("hello"), images.Native("sidecar"), images.Pause(), images.Wasm("sleep"), images.Wasm("exit"))
	importPeer(t, d)
	for _, handler := range []string{"", daemon.Handler} {
		p := runPod(t, d, podConfig(t, d, own), handler)
		p.run(t, containerConfig(images.Native("sleep").Ref, "1ms")).wait(t)
		p.remove(t)
	}
}, daemon.WithBridge())

func TestLinuxContainersInAWasmPod(t *testing.T) {
	d := linux(t)
	p := wasmPod(t, d, own)
	// As an init container, which ends before the others start.
	initial := p.run(t, containerConfig(images.Native("hello").Ref))
	initial.expectExit(t, 0, "Completed")
	if got := initial.logs(t, "stdout"); !strings.Contains(got, "hello") {
		t.Errorf("the init container wrote %q", got)
	}
	guest := p.run(t, containerConfig("sleep"))
	sidecar := p.run(t, sidecarConfig(criapi.NamespaceMode_CONTAINER))
	sidecar.waitForLog(t, "sleeping")
	for _, kind := range []string{"net", "ipc", "uts"} {
		if got, want := namespace(t, sidecar.pid(t), kind), namespace(t, podPID(t, p), kind); got != want {
			t.Errorf("the sidecar is in %s, and its pod in %s", got, want)
		}
	}
	if got, want := namespace(t, guest.pid(t), "net"), namespace(t, podPID(t, p), "net"); got != want {
		t.Errorf("the guest is in %s, and its pod in %s", got, want)
	}
	r, err := d.CRI().ExecSync(p.ctx, &criapi.ExecSyncRequest{ContainerId: sidecar.id, Cmd: []string{"/sleep", "1ms"}, Timeout: 10})
	if err != nil || r.GetExitCode() != 0 || !strings.Contains(string(r.GetStdout()), "sleeping") {
		t.Errorf("exec in the sidecar: %v, %v", r, err)
	}
	stats, err := d.CRI().ContainerStats(p.ctx, &criapi.ContainerStatsRequest{ContainerId: sidecar.id})
	if err != nil || stats.GetStats().GetMemory().GetUsageBytes().GetValue() == 0 {
		t.Errorf("statistics of the sidecar: %v, %v", stats, err)
	}
	sidecar.stop(t, 10)
	sidecar.expectExit(t, 2, "Error") // SIGTERM does not end a Go program that is the first process otherwise
	guest.stop(t, 10)
	guest.expectExit(t, 143, "Error")
}

// The PID namespace of guests is the daemon's, which no container may see.
func TestSidecarDoesNotSeeTheNode(t *testing.T) {
	d := linux(t)
	p := wasmPod(t, d, own)
	guest := p.run(t, containerConfig("sleep"))
	target := sidecarConfig(criapi.NamespaceMode_TARGET)
	target.Linux.SecurityContext.NamespaceOptions.TargetId = guest.id
	for name, config := range map[string]*criapi.ContainerConfig{
		"shared": sidecarConfig(criapi.NamespaceMode_POD), "of a guest": target,
	} {
		c := p.run(t, config)
		if got := namespace(t, c.pid(t), "pid"); got == namespace(t, "self", "pid") {
			t.Errorf("%s: the sidecar is in the node's %s", name, got)
		}
		c.stop(t, 0)
	}
	// The namespace of a Linux container is one that another can have.
	first := p.run(t, sidecarConfig(criapi.NamespaceMode_CONTAINER))
	debug := sidecarConfig(criapi.NamespaceMode_TARGET)
	debug.Linux.SecurityContext.NamespaceOptions.TargetId = first.id
	c := p.run(t, debug)
	if got, want := namespace(t, c.pid(t), "pid"), namespace(t, first.pid(t), "pid"); got != want {
		t.Errorf("the debugger is in %s, and its target in %s", got, want)
	}
	first.stop(t, 0)
}

func TestSidecarSeesTheNodeWithHostPID(t *testing.T) {
	d := linux(t)
	config := podConfig(t, d, own)
	config.Linux.SecurityContext.NamespaceOptions.Pid = criapi.NamespaceMode_NODE
	p := runPod(t, d, config, daemon.Handler)
	c := p.run(t, sidecarConfig(criapi.NamespaceMode_NODE))
	if got, want := namespace(t, c.pid(t), "pid"), namespace(t, d.PID(), "pid"); got != want {
		t.Errorf("the sidecar is in %s, and the node in %s", got, want)
	}
	c.stop(t, 0)
}

func TestSidecarOutlivesTheDaemon(t *testing.T) {
	d := linux(t)
	p := wasmPod(t, d, own)
	c := p.run(t, sidecarConfig(criapi.NamespaceMode_CONTAINER))
	d.Kill(t)
	d.Restart(t)
	if s := c.status(t).GetState(); s != criapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("the sidecar is %v", s)
	}
	p.expectState(t, criapi.PodSandboxState_SANDBOX_NOTREADY)
	c.stop(t, 0)
	c.expectExit(t, 137, "Error")
}

func TestModuleInALinuxPodNamesTheHandler(t *testing.T) {
	d := linux(t)
	p := runPod(t, d, podConfig(t, d, own), "")
	module, err := images.Compile(t.Context(), images.Wasm("exit"))
	if err != nil {
		t.Fatal(err)
	}
	const image = "example.com/unnamed:latest"
	img, err := images.New(images.Host(), v1.Config{Entrypoint: []string{"app"}, Env: []string{"PATH=/bin"}}, map[string][]byte{"/bin/app": module})
	if err != nil {
		t.Fatal(err)
	}
	d.ImportImage(t, image, img)
	for entrypoint, config := range map[string]*criapi.ContainerConfig{"/exit.wasm": containerConfig("exit"), "app": containerConfig(image)} {
		p.create(t, config).expectStartError(t, fmt.Sprintf("entrypoint %q is a WebAssembly module, which runc cannot run: use a RuntimeClass with the handler \"wasm\"", entrypoint))
	}
}
