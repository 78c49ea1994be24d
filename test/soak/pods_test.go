// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"errors"
	"fmt"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// podRunsAContainer is a Job: one container that ends by itself.
func podRunsAContainer(c *client) error {
	return c.withPod(func(p *pod) error {
		code := c.IntN(256)
		id, err := p.start("exit", fmt.Sprint(code))
		if err != nil {
			return err
		}
		if err := p.expectEnd(id, int32(code)); err != nil {
			return err
		}
		_, err = c.cri().RemoveContainer(c.ctx, &criapi.RemoveContainerRequest{ContainerId: id})
		return err
	})
}

// podIsStopped stops a pod, and with it containers in any state.
func podIsStopped(c *client) error {
	return c.withPod(func(p *pod) error {
		if _, err := p.create("hello-c"); err != nil {
			return err
		}
		for range 1 + c.IntN(2) {
			if _, err := p.start(endless[c.IntN(len(endless))]); err != nil {
				return err
			}
		}
		c.pause(longest)
		return nil
	})
}

func podIsNeverUsed(c *client) error {
	return c.withPod(func(*pod) error { return nil })
}

// everythingIsListed is what kubelet and operators ask for.
func everythingIsListed(c *client) error {
	_, err1 := c.cri().ListPodSandboxStats(c.ctx, &criapi.ListPodSandboxStatsRequest{})
	_, err2 := c.cri().ListContainerStats(c.ctx, &criapi.ListContainerStatsRequest{})
	_, err3 := c.containerd.Containers(c.ctx)
	_, err4 := c.daemon.Goroutines(c.ctx)
	return errors.Join(err1, err2, err3, err4)
}

// pod is one that a client has made.
type pod struct {
	*client
	id         string
	config     *criapi.PodSandboxConfig
	containers int // so far
}

// withPod makes a pod, and removes it with all containers in it.
func (c *client) withPod(f func(*pod) error) error {
	network := criapi.NamespaceMode_NODE
	if c.IntN(2) == 0 {
		network = criapi.NamespaceMode_POD
	}
	c.pods++
	name := fmt.Sprintf("client%d-%d", c.number, c.pods)
	p := &pod{client: c, config: &criapi.PodSandboxConfig{
		Metadata:     &criapi.PodSandboxMetadata{Name: name, Namespace: "soak", Uid: name},
		Hostname:     name,
		LogDirectory: c.dir,
		Linux: &criapi.LinuxPodSandboxConfig{
			CgroupParent:    "/" + c.daemon.Name,
			SecurityContext: &criapi.LinuxSandboxSecurityContext{NamespaceOptions: &criapi.NamespaceOption{Network: network}},
		},
	}}
	r, err := c.cri().RunPodSandbox(c.ctx, &criapi.RunPodSandboxRequest{Config: p.config, RuntimeHandler: daemon.Handler})
	if err != nil {
		return err
	}
	p.id = r.GetPodSandboxId()
	return errors.Join(f(p), p.remove())
}

func (p *pod) create(image string, args ...string) (string, error) {
	p.containers++
	name := fmt.Sprintf("c%d", p.containers)
	r, err := p.cri().CreateContainer(p.ctx, &criapi.CreateContainerRequest{
		PodSandboxId:  p.id,
		SandboxConfig: p.config,
		Config: &criapi.ContainerConfig{
			Metadata: &criapi.ContainerMetadata{Name: name},
			Image:    &criapi.ImageSpec{Image: images.Wasm(image).Ref},
			Args:     args,
			LogPath:  fmt.Sprintf("client%d-%s.log", p.number, name), // written again by the next pod
			Linux:    &criapi.LinuxContainerConfig{},
		},
	})
	return r.GetContainerId(), err
}

func (p *pod) start(image string, args ...string) (string, error) {
	id, err := p.create(image, args...)
	if err != nil {
		return "", err
	}
	begin := time.Now()
	if _, err := p.cri().StartContainer(p.ctx, &criapi.StartContainerRequest{ContainerId: id}); err != nil {
		return "", err
	}
	p.tally.took("start in a pod", time.Since(begin))
	return id, nil
}

func (p *pod) expectEnd(id string, code int32) error {
	for deadline := time.Now().Add(daemon.Patience); ; time.Sleep(5 * time.Millisecond) {
		r, err := p.cri().ContainerStatus(p.ctx, &criapi.ContainerStatusRequest{ContainerId: id})
		if err != nil {
			return err
		}
		s := r.GetStatus()
		switch {
		case s.GetState() == criapi.ContainerState_CONTAINER_EXITED && s.GetExitCode() == code:
			return nil
		case s.GetState() == criapi.ContainerState_CONTAINER_EXITED:
			return fmt.Errorf("exit code %d, not %d (%s)", s.GetExitCode(), code, s.GetReason())
		case time.Now().After(deadline):
			return fmt.Errorf("container %s does not end", id)
		}
	}
}

// remove may leave the stopping to the removal.
func (p *pod) remove() error {
	var err error
	if p.IntN(4) > 0 {
		_, err = p.cri().StopPodSandbox(p.ctx, &criapi.StopPodSandboxRequest{PodSandboxId: p.id})
	}
	_, err2 := p.cri().RemovePodSandbox(p.ctx, &criapi.RemovePodSandboxRequest{PodSandboxId: p.id})
	return errors.Join(err, err2)
}
