// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// kubelet keeps pods of one container running, as kubelet does: from what CRI
// reports, without a memory of its own.
//
//	sandbox ready, container running --> nothing
//	sandbox not ready                --> stop it; run another, attempt + 1
//	container not running            --> create another, attempt + 1, and start it
//	all but the last of each         --> remove
type kubelet struct {
	d     *daemon.Daemon
	ctx   context.Context // outlives the test's own, for clean-up
	image string
	pods  []*criapi.PodSandboxConfig

	mu   sync.Mutex
	pid  int // of the daemon that conn is to
	conn *grpc.ClientConn
}

// newKubelet wants n pods with networks of their own.
func newKubelet(t *testing.T, d *daemon.Daemon, image string, n int) *kubelet {
	k := &kubelet{d: d, ctx: context.WithoutCancel(t.Context()), image: image}
	logs := t.TempDir()
	for range n {
		p := podConfig(t, d, own)
		p.LogDirectory = logs
		k.pods = append(k.pods, p)
	}
	t.Cleanup(k.close)
	return k
}

// cri is on a connection of its own, which a daemon that is killed takes with it.
func (k *kubelet) cri() criapi.RuntimeServiceClient {
	k.mu.Lock()
	defer k.mu.Unlock()
	if pid := k.d.PID(); k.conn == nil || pid != k.pid {
		k.closeConn()
		k.pid = pid
		// Dialing itself does not fail.
		k.conn, _ = grpc.NewClient("unix://"+k.d.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	return criapi.NewRuntimeServiceClient(k.conn)
}

func (k *kubelet) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closeConn()
}

func (k *kubelet) closeConn() {
	if k.conn != nil {
		_ = k.conn.Close()
		k.conn = nil
	}
}

// found is what CRI lists of a pod, the newest first.
type found struct {
	sandboxes  []*criapi.PodSandbox
	containers []*criapi.Container
}

// look returns the pods that CRI knows, by their uids.
func (k *kubelet) look() (map[string]*found, error) {
	sandboxes, err := k.cri().ListPodSandbox(k.ctx, &criapi.ListPodSandboxRequest{})
	if err != nil {
		return nil, err
	}
	containers, err := k.cri().ListContainers(k.ctx, &criapi.ListContainersRequest{})
	if err != nil {
		return nil, err
	}
	all := make(map[string]*found)
	uids := make(map[string]string)
	for _, s := range sandboxes.GetItems() {
		uid := s.GetMetadata().GetUid()
		uids[s.GetId()] = uid
		if all[uid] == nil {
			all[uid] = &found{}
		}
		all[uid].sandboxes = append(all[uid].sandboxes, s)
	}
	for _, c := range containers.GetContainers() {
		f := all[uids[c.GetPodSandboxId()]]
		if f == nil {
			return nil, fmt.Errorf("container %s is in no sandbox", c.GetId())
		}
		f.containers = append(f.containers, c)
	}
	for _, f := range all {
		slices.SortFunc(f.sandboxes, func(a, b *criapi.PodSandbox) int { return cmp.Compare(b.GetCreatedAt(), a.GetCreatedAt()) })
		slices.SortFunc(f.containers, func(a, b *criapi.Container) int { return cmp.Compare(b.GetCreatedAt(), a.GetCreatedAt()) })
	}
	return all, nil
}

// sync brings all pods to where they should be.
func (k *kubelet) sync() error {
	all, err := k.look()
	if err != nil {
		return err
	}
	return each(k.pods, func(p *criapi.PodSandboxConfig) error {
		f := all[p.GetMetadata().GetUid()]
		if f == nil {
			f = &found{}
		}
		if err := k.syncPod(p, f); err != nil {
			return fmt.Errorf("pod %s: %w", p.GetMetadata().GetName(), err)
		}
		return nil
	})
}

func (k *kubelet) syncPod(p *criapi.PodSandboxConfig, f *found) error {
	config := &criapi.PodSandboxConfig{
		Metadata: &criapi.PodSandboxMetadata{
			Name: p.GetMetadata().GetName(), Namespace: p.GetMetadata().GetNamespace(), Uid: p.GetMetadata().GetUid(),
		},
		Hostname: p.GetHostname(), LogDirectory: p.GetLogDirectory(), Linux: p.GetLinux(),
	}
	sandbox := ""
	if len(f.sandboxes) > 0 {
		last := f.sandboxes[0]
		config.Metadata.Attempt = last.GetMetadata().GetAttempt() + 1
		if last.GetState() == criapi.PodSandboxState_SANDBOX_READY {
			sandbox = last.GetId()
		}
	}
	if sandbox == "" {
		if err := k.stop(f); err != nil {
			return err
		}
		r, err := k.cri().RunPodSandbox(k.ctx, &criapi.RunPodSandboxRequest{Config: config, RuntimeHandler: daemon.Handler})
		if err != nil {
			return err
		}
		sandbox = r.GetPodSandboxId()
	} else if len(f.containers) > 0 && f.containers[0].GetState() == criapi.ContainerState_CONTAINER_RUNNING {
		return nil
	}
	if err := k.runContainer(config, sandbox, f); err != nil {
		return err
	}
	return k.remove(f, sandbox)
}

func (k *kubelet) runContainer(p *criapi.PodSandboxConfig, sandbox string, f *found) error {
	config := containerConfig(k.image)
	config.Metadata.Name = "main"
	if len(f.containers) > 0 {
		config.Metadata.Attempt = f.containers[0].GetMetadata().GetAttempt() + 1
	}
	c, err := k.cri().CreateContainer(k.ctx, &criapi.CreateContainerRequest{PodSandboxId: sandbox, Config: config, SandboxConfig: p})
	if err != nil {
		return err
	}
	_, err = k.cri().StartContainer(k.ctx, &criapi.StartContainerRequest{ContainerId: c.GetContainerId()})
	return err
}

func (k *kubelet) stop(f *found) error {
	for _, s := range f.sandboxes {
		if _, err := k.cri().StopPodSandbox(k.ctx, &criapi.StopPodSandboxRequest{PodSandboxId: s.GetId()}); err != nil {
			return err
		}
	}
	return nil
}

// remove removes containers and sandboxes, but not the sandbox to keep.
func (k *kubelet) remove(f *found, keep string) error {
	for _, c := range f.containers {
		if _, err := k.cri().RemoveContainer(k.ctx, &criapi.RemoveContainerRequest{ContainerId: c.GetId()}); err != nil {
			return err
		}
	}
	for _, s := range f.sandboxes {
		if s.GetId() == keep {
			continue
		}
		if _, err := k.cri().RemovePodSandbox(k.ctx, &criapi.RemovePodSandboxRequest{PodSandboxId: s.GetId()}); err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes every pod that CRI knows.
func (k *kubelet) removeAll() error {
	all, err := k.look()
	if err != nil {
		return err
	}
	var list []*found
	for _, f := range all {
		list = append(list, f)
	}
	return each(list, func(f *found) error { return errors.Join(k.stop(f), k.remove(f, "")) })
}

// workers is how many pods kubelet looks after at once.
const workers = 16

// each calls f for all items, several at once, and returns the errors together.
func each[T any](items []T, f func(T) error) error {
	errs := make([]error, len(items))
	turn := make(chan struct{}, workers)
	var wg sync.WaitGroup
	for i, item := range items {
		turn <- struct{}{}
		wg.Go(func() {
			errs[i] = f(item)
			<-turn
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
