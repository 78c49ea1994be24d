// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

func TestRestart(t *testing.T) {
	for name, end := range map[string]func(*daemon.Daemon, testing.TB){
		"killed":  (*daemon.Daemon).Kill,
		"stopped": (*daemon.Daemon).Stop,
	} {
		t.Run(name, func(t *testing.T) {
			d := daemon.Start(t, daemon.WithBridge())
			d.Import(t, images.Wasm("sleep"), images.Wasm("exit"))
			firstPod(t, d)
			before := d.Resources(t)

			pods := []*pod{wasmPod(t, d, own), wasmPod(t, d, host), wasmPod(t, d, own)}
			var containers []*container
			for _, p := range pods {
				created, exited := p.create(t, containerConfig("sleep")), p.run(t, containerConfig("exit", "3"))
				exited.wait(t)
				containers = append(containers, p.run(t, containerConfig("sleep")), created, exited)
			}
			pods[2].stop(t)
			end(d, t)
			d.Restart(t)

			for _, p := range pods {
				p.expectState(t, criapi.PodSandboxState_SANDBOX_NOTREADY)
			}
			for i, c := range containers {
				want := criapi.ContainerState_CONTAINER_EXITED
				if s := c.status(t); s.GetState() != want && i%3 != 1 {
					t.Errorf("container %d is %v", i, s.GetState())
				}
				if s := c.status(t); i%3 == 2 && s.GetExitCode() != 3 {
					t.Errorf("container %d has forgotten its exit code: %d", i, s.GetExitCode())
				}
			}
			// As kubelet goes on: a new pod beside the old one, which it then removes.
			again := wasmPod(t, d, own)
			again.run(t, containerConfig("exit", "4")).expectExit(t, 4, "Error")
			again.remove(t)
			for i, p := range pods {
				if i == 0 {
					for _, c := range containers[:3] {
						c.stop(t, 1)
						c.remove(t)
					}
				}
				p.remove(t)
			}
			d.CheckLeaks(t, before)
		})
	}
}

// A mistake in the configuration keeps pods from being made. Those that there were have
// ended as with any restart, and are removed with all that they have.
func TestRestartWithABrokenRuntime(t *testing.T) {
	d := daemon.Start(t, daemon.WithBridge())
	d.Import(t, images.Wasm("sleep"), images.Wasm("exit"))
	firstPod(t, d)
	before := d.Resources(t)

	begin := time.Now()
	p := wasmPod(t, d, own)
	c := p.run(t, containerConfig("sleep"))
	d.Stop(t)
	d.Reconfigure(t, "[plugins.'io.containerd.wasm.v1.runtime']\nstack_size = 'big'")
	_, err := d.CRI().RunPodSandbox(p.ctx, &criapi.RunPodSandboxRequest{Config: podConfig(t, d, own), RuntimeHandler: daemon.Handler})
	if err == nil || !strings.Contains(err.Error(), `stack_size "big"`) {
		t.Errorf("a new pod: %v", err)
	}
	p.expectState(t, criapi.PodSandboxState_SANDBOX_NOTREADY)
	r, err := d.CRI().ListPodSandbox(p.ctx, &criapi.ListPodSandboxRequest{})
	if err != nil || len(r.GetItems()) != 1 {
		t.Fatalf("pods %v, %v", r.GetItems(), err)
	}
	for _, at := range []int64{r.GetItems()[0].GetCreatedAt(), p.status(t).GetCreatedAt()} {
		if at < begin.UnixNano() || at > time.Now().UnixNano() {
			t.Errorf("the pod was created at %v", time.Unix(0, at))
		}
	}
	c.remove(t)
	p.remove(t)
	left, err := os.ReadDir(filepath.Join(d.Root, "io.containerd.grpc.v1.cri/sandboxes"))
	if err != nil || len(left) != 0 {
		t.Errorf("files of pods are left: %v, %v", left, err)
	}
	d.Stop(t)
	d.Reconfigure(t, "")
	wasmPod(t, d, own).remove(t)
	d.CheckLeaks(t, before)
}

// A pod of Linux containers is what it is in any containerd, and survives what
// guests do not.
func TestRuncPodBeside(t *testing.T) {
	d := daemon.Start(t, daemon.WithBridge())
	d.Import(t, images.Pause(), images.Native("sleep"), images.Wasm("sleep"), images.Wasm("exit"))
	// Makes what stays, such as the cgroup that pods are in.
	for _, handler := range []string{"", daemon.Handler} {
		p := runPod(t, d, podConfig(t, d, own), handler)
		if handler == "" {
			p.run(t, containerConfig(images.Native("sleep").Ref, "1ms")).wait(t)
		} else {
			p.run(t, containerConfig("exit")).wait(t)
		}
		p.remove(t)
	}
	before := d.Resources(t)
	native := runPod(t, d, podConfig(t, d, own), "")
	c := native.run(t, containerConfig(images.Native("sleep").Ref))
	guest := wasmPod(t, d, own)
	g := guest.run(t, containerConfig("sleep"))
	if a, b := native.status(t).GetNetwork().GetIp(), guest.status(t).GetNetwork().GetIp(); a == "" || a == b {
		t.Errorf("IP addresses %q and %q", a, b)
	}
	d.Kill(t)
	d.Restart(t)
	if s := c.status(t).GetState(); s != criapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("the native container is %v", s)
	}
	if s := g.status(t).GetState(); s != criapi.ContainerState_CONTAINER_EXITED {
		t.Errorf("the guest is %v", s)
	}
	native.expectState(t, criapi.PodSandboxState_SANDBOX_READY)
	c.stop(t, 0)
	native.remove(t)
	guest.remove(t)
	d.CheckLeaks(t, before)
}
