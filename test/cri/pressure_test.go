// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// The daemon is killed while pods are being made, at other moments each time. Kubelet
// then finds what is there, and all that is there can be removed.
func TestKilledWhilePodsAreMade(t *testing.T) {
	d := daemon.Start(t, daemon.WithBridge())
	d.Import(t, images.Wasm("sleep"), images.Wasm("exit"))
	firstPod(t, d)
	before := d.Resources(t)

	k := newKubelet(t, d, "sleep", 20)
	for _, after := range []time.Duration{20, 60, 150, 400} {
		ctx, cancel := context.WithCancel(t.Context())
		k.ctx = ctx
		var wg sync.WaitGroup
		wg.Go(func() { _ = k.sync() }) // the daemon goes
		time.Sleep(after * time.Millisecond)
		d.Kill(t)
		cancel()
		wg.Wait()
		awaitCNI(t, d)
		d.Restart(t)
		k.ctx = context.WithoutCancel(t.Context())
	}
	if err := k.sync(); err != nil {
		t.Error(err)
	}
	all, err := k.look()
	if err != nil {
		t.Fatal(err)
	}
	for uid, f := range all {
		if s := f.sandboxes[0].GetState(); s != criapi.PodSandboxState_SANDBOX_READY {
			t.Errorf("pod %s is %v", uid, s)
		}
	}
	if err := k.removeAll(); err != nil {
		t.Error(err)
	}
	d.CheckLeaks(t, before)
}

// awaitCNI waits for plugins that outlive the daemon: they may take what is given back
// before them.
func awaitCNI(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	daemon.Eventually(t, "the end of CNI's plugins", func() error {
		if all := d.Processes(); len(all) > 0 {
			return fmt.Errorf("%v", all)
		}
		return nil
	})
}

// Whatever kubelet has lost track of, it may stop and remove again. Several calls at
// once leave nothing that a later one could not remove.
func TestStopAndRemoveAgain(t *testing.T) {
	d := shared(t)
	for _, id := range []string{"unknown", strings.Repeat("0", 64), "../../etc"} {
		unknown := &pod{d: d, id: id, ctx: t.Context()}
		unknown.remove(t)
		(&container{pod: unknown, id: id}).stop(t, 0)
		(&container{pod: unknown, id: id}).remove(t)
	}
	p, other := wasmPod(t, d, own), wasmPod(t, d, host)
	c := p.run(t, containerConfig("sleep"))
	p.create(t, containerConfig("sleep"))
	p.run(t, containerConfig("exit")).wait(t)
	rest := other.run(t, containerConfig("sleep"))
	for what, call := range map[string]func() error{
		"stopping a container": func() error {
			_, err := d.CRI().StopContainer(p.ctx, &criapi.StopContainerRequest{ContainerId: c.id})
			return err
		},
		"stopping a pod": func() error {
			_, err := d.CRI().StopPodSandbox(p.ctx, &criapi.StopPodSandboxRequest{PodSandboxId: p.id})
			return err
		},
		"removing a container": func() error {
			_, err := d.CRI().RemoveContainer(p.ctx, &criapi.RemoveContainerRequest{ContainerId: c.id})
			return err
		},
		"removing a pod": func() error {
			_, err := d.CRI().RemovePodSandbox(p.ctx, &criapi.RemovePodSandboxRequest{PodSandboxId: p.id})
			return err
		},
	} {
		// Upstream, and CNI's plugins, may refuse what another call is doing; kubelet
		// tries again.
		if err := each(make([]struct{}, 5), func(struct{}) error { return call() }); err != nil {
			t.Logf("%s, several times at once: %v", what, err)
		}
		if err := errors.Join(call(), call()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := d.CRI().PodSandboxStatus(p.ctx, &criapi.PodSandboxStatusRequest{PodSandboxId: p.id}); err == nil {
		t.Error("the pod is still there")
	}
	if s := rest.status(t).GetState(); s != criapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("a container of another pod is %v", s)
	}
}
