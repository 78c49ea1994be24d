// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// eventLog collects CRI's events.
type eventLog struct {
	mu  sync.Mutex
	all []*criapi.ContainerEventResponse
}

// watchEvents collects for the rest of the test.
func watchEvents(t *testing.T, d *daemon.Daemon) *eventLog {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stream, err := d.CRI().GetContainerEvents(ctx, &criapi.GetEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	l := &eventLog{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			e, err := stream.Recv()
			if err != nil {
				return
			}
			l.mu.Lock()
			l.all = append(l.all, e)
			l.mu.Unlock()
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return l
}

// of returns the events of a pod and its containers.
func (l *eventLog) of(p *pod) []*criapi.ContainerEventResponse {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.all), func(e *criapi.ContainerEventResponse) bool {
		return e.GetPodSandboxStatus().GetId() != p.id && e.GetContainerId() != p.id
	})
}

// await waits until the pod has had n events.
func (l *eventLog) await(t *testing.T, p *pod, n int) {
	t.Helper()
	daemon.Eventually(t, fmt.Sprintf("event %d", n), func() error {
		if got := l.of(p); len(got) < n {
			return errors.New(describe(p, got))
		}
		return nil
	})
}

// describe writes a line for each event: what kubelet learns from it, without what
// differs from pod to pod. A pod that is stopped has its address for a moment more.
func describe(p *pod, events []*criapi.ContainerEventResponse) string {
	var b strings.Builder
	for _, e := range events {
		of := "container"
		if e.GetContainerId() == p.id {
			of = "sandbox"
		}
		s := e.GetPodSandboxStatus()
		fmt.Fprintf(&b, "%s %v: sandbox %v uid %t handler %t", of, e.GetContainerEventType(), s.GetState(),
			s.GetMetadata().GetUid() == p.config.GetMetadata().GetUid(), s.GetRuntimeHandler() == p.handler)
		if s.GetState() == criapi.PodSandboxState_SANDBOX_READY {
			fmt.Fprintf(&b, " ip %t", s.GetNetwork().GetIp() != "")
		}
		for _, c := range e.GetContainersStatuses() {
			fmt.Fprintf(&b, "; %v %d %q started %t finished %t", c.GetState(), c.GetExitCode(), c.GetReason(), c.GetStartedAt() > 0, c.GetFinishedAt() > 0)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// A pod of guests has the events of a pod of runc with the same life, with the same in
// them.
func TestEventsAreThoseOfRunc(t *testing.T) {
	d := daemon.Start(t, daemon.WithBridge())
	d.Import(t, images.Pause(), images.Native("sleep"), images.Wasm("sleep"))
	l := watchEvents(t, d)
	live := func(handler string, config *criapi.ContainerConfig) string {
		p := runPod(t, d, podConfig(t, d, own), handler)
		l.await(t, p, 2)
		c := p.create(t, config)
		l.await(t, p, 3)
		if err := c.start(); err != nil {
			t.Fatal(err)
		}
		l.await(t, p, 4)
		c.wait(t)
		l.await(t, p, 5)
		c.remove(t)
		l.await(t, p, 6)
		killed := p.run(t, config)
		l.await(t, p, 8)
		killed.stop(t, 0)
		l.await(t, p, 9)
		p.stop(t)
		l.await(t, p, 10)
		p.remove(t)
		l.await(t, p, 12)
		all := l.of(p)
		for _, e := range all {
			// Upstream's own controller has forgotten it when the pod is removed.
			if at := e.GetPodSandboxStatus().GetCreatedAt(); at <= 0 && handler == daemon.Handler {
				t.Errorf("the pod was created at %v: %v", at, e)
			}
		}
		return describe(p, all)
	}
	want := live("", containerConfig(images.Native("sleep").Ref, "1s"))
	got := live(daemon.Handler, containerConfig("sleep", "1"))
	if got != want {
		t.Errorf("the events of guests are\n%s\nthose of runc are\n%s", got, want)
	}
	if n := strings.Count(want, "\n"); n != 12 {
		t.Errorf("%d events:\n%s", n, want)
	}
	if log := d.Log(0); strings.Contains(log, "failed to unmarshal sandbox spec") {
		t.Error("upstream misses a sandbox's OCI spec")
	}
}

// The event of the end says already why it was: kubelet may not look again.
func TestOutOfMemoryIsKnownWithTheEnd(t *testing.T) {
	d := shared(t)
	l := watchEvents(t, d)
	p := wasmPod(t, d, host)
	config := containerConfig("mem", "die")
	config.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: 2 << 20}
	for range 20 {
		config.Metadata.Attempt++
		p.run(t, config).wait(t)
	}
	l.await(t, p, 2+3*20)
	for _, e := range l.of(p) {
		for _, c := range e.GetContainersStatuses() {
			if c.GetState() == criapi.ContainerState_CONTAINER_EXITED && (c.GetReason() != "OOMKilled" || c.GetExitCode() != 137) {
				t.Errorf("%v says %d, %s", e.GetContainerEventType(), c.GetExitCode(), c.GetReason())
			}
		}
	}
}
