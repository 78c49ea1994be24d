// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// Networks that a pod can have.
const (
	host = criapi.NamespaceMode_NODE
	own  = criapi.NamespaceMode_POD
)

// pod is a sandbox, which goes with the test.
type pod struct {
	d       *daemon.Daemon
	id      string
	handler string
	config  *criapi.PodSandboxConfig
	ctx     context.Context // outlives the test's own, for clean-up
}

var lastPod atomic.Int64

// podConfig describes a pod of its own name.
func podConfig(t testing.TB, d *daemon.Daemon, network criapi.NamespaceMode) *criapi.PodSandboxConfig {
	t.Helper()
	name := fmt.Sprintf("pod%d", lastPod.Add(1))
	return &criapi.PodSandboxConfig{
		Metadata:     &criapi.PodSandboxMetadata{Name: name, Namespace: "test", Uid: name},
		Hostname:     name,
		LogDirectory: t.TempDir(),
		Linux: &criapi.LinuxPodSandboxConfig{
			CgroupParent: "/" + d.Name,
			SecurityContext: &criapi.LinuxSandboxSecurityContext{
				NamespaceOptions: &criapi.NamespaceOption{Network: network},
			},
		},
	}
}

// runPod runs a pod with the handler, "" being runc.
func runPod(t testing.TB, d *daemon.Daemon, config *criapi.PodSandboxConfig, handler string) *pod {
	t.Helper()
	p := &pod{d: d, config: config, handler: handler, ctx: context.WithoutCancel(t.Context())}
	r, err := d.CRI().RunPodSandbox(p.ctx, &criapi.RunPodSandboxRequest{Config: config, RuntimeHandler: handler})
	if err != nil {
		t.Fatal(err)
	}
	p.id = r.GetPodSandboxId()
	t.Cleanup(func() { p.remove(t) })
	return p
}

func wasmPod(t testing.TB, d *daemon.Daemon, network criapi.NamespaceMode) *pod {
	t.Helper()
	return runPod(t, d, podConfig(t, d, network), daemon.Handler)
}

func (p *pod) stop(t testing.TB) {
	t.Helper()
	if _, err := p.d.CRI().StopPodSandbox(p.ctx, &criapi.StopPodSandboxRequest{PodSandboxId: p.id}); err != nil {
		t.Error(err)
	}
}

func (p *pod) remove(t testing.TB) {
	t.Helper()
	p.stop(t)
	if _, err := p.d.CRI().RemovePodSandbox(p.ctx, &criapi.RemovePodSandboxRequest{PodSandboxId: p.id}); err != nil {
		t.Error(err)
	}
}

func (p *pod) status(t testing.TB) *criapi.PodSandboxStatus {
	t.Helper()
	r, err := p.d.CRI().PodSandboxStatus(p.ctx, &criapi.PodSandboxStatusRequest{PodSandboxId: p.id})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetStatus()
}

func (p *pod) expectState(t testing.TB, want criapi.PodSandboxState) {
	t.Helper()
	if got := p.status(t).GetState(); got != want {
		t.Errorf("the pod is %v, want %v", got, want)
	}
}

// container is one in a pod.
type container struct {
	*pod
	id  string
	log string
}

// containerConfig describes a container; image is one of guests, or a full name.
func containerConfig(image string, args ...string) *criapi.ContainerConfig {
	if !strings.Contains(image, "/") {
		image = images.Wasm(image).Ref
	}
	name := fmt.Sprintf("c%d", lastPod.Add(1))
	return &criapi.ContainerConfig{
		Metadata: &criapi.ContainerMetadata{Name: name},
		Image:    &criapi.ImageSpec{Image: image},
		Args:     args,
		LogPath:  name + ".log",
		Linux:    &criapi.LinuxContainerConfig{},
	}
}

func (p *pod) create(t testing.TB, config *criapi.ContainerConfig) *container {
	t.Helper()
	r, err := p.d.CRI().CreateContainer(p.ctx, &criapi.CreateContainerRequest{
		PodSandboxId: p.id, Config: config, SandboxConfig: p.config,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &container{p, r.GetContainerId(), filepath.Join(p.config.GetLogDirectory(), config.GetLogPath())}
}

func (c *container) start() error {
	_, err := c.d.CRI().StartContainer(c.ctx, &criapi.StartContainerRequest{ContainerId: c.id})
	return err
}

// run creates and starts a container.
func (p *pod) run(t testing.TB, config *criapi.ContainerConfig) *container {
	t.Helper()
	c := p.create(t, config)
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *container) stop(t testing.TB, timeout int64) {
	t.Helper()
	if _, err := c.d.CRI().StopContainer(c.ctx, &criapi.StopContainerRequest{ContainerId: c.id, Timeout: timeout}); err != nil {
		t.Error(err)
	}
}

func (c *container) remove(t testing.TB) {
	t.Helper()
	if _, err := c.d.CRI().RemoveContainer(c.ctx, &criapi.RemoveContainerRequest{ContainerId: c.id}); err != nil {
		t.Error(err)
	}
}

func (c *container) status(t testing.TB) *criapi.ContainerStatus {
	t.Helper()
	r, err := c.d.CRI().ContainerStatus(c.ctx, &criapi.ContainerStatusRequest{ContainerId: c.id})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetStatus()
}

// wait returns the container's status once it has ended.
func (c *container) wait(t testing.TB) *criapi.ContainerStatus {
	t.Helper()
	var s *criapi.ContainerStatus
	daemon.Eventually(t, "the end of the container", func() error {
		if s = c.status(t); s.GetState() != criapi.ContainerState_CONTAINER_EXITED {
			return errors.New(s.GetState().String())
		}
		return nil
	})
	return s
}

func (c *container) expectExit(t testing.TB, code int32, reason string) {
	t.Helper()
	if s := c.wait(t); s.GetExitCode() != code || s.GetReason() != reason {
		t.Errorf("exit code %d, reason %q; want %d, %q (%s)", s.GetExitCode(), s.GetReason(), code, reason, s.GetMessage())
	}
}

// waitForLog waits until the container has written text.
func (c *container) waitForLog(t testing.TB, text string) {
	t.Helper()
	daemon.Eventually(t, fmt.Sprintf("%q in the log", text), func() error {
		if got := c.logs(t, "stdout"); !strings.Contains(got, text) {
			return errors.New(got + c.logs(t, "stderr"))
		}
		return nil
	})
}

// firstPod makes a pod and removes it, for what stays of the first one, such as the bridge.
func firstPod(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	p := wasmPod(t, d, own)
	p.run(t, containerConfig("exit")).wait(t)
	p.remove(t)
}
