// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"maps"
	"time"

	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
)

// pods are the tasks of each pod. CRI asks once a second for what each pod uses, so
// that they are not looked for among all. It is not safe for concurrent use.
type pods struct {
	tasks map[key]map[key]*task // by sandbox, then by task; nil: a Linux container
	of    map[key]key           // the sandbox of each task
}

func newPods() pods {
	return pods{tasks: make(map[key]map[key]*task), of: make(map[key]key)}
}

// add notes a task of a sandbox, in the same namespace; t is nil for a Linux container.
func (p *pods) add(k key, sandbox string, t *task) {
	pod := key{k.namespace, sandbox}
	if p.tasks[pod] == nil {
		p.tasks[pod] = make(map[key]*task)
	}
	p.tasks[pod][k] = t
	p.of[k] = pod
}

// remove is for a task that is gone, also for one that was never in a pod.
func (p *pods) remove(k key) {
	pod, ok := p.of[k]
	if !ok {
		return
	}
	delete(p.of, k)
	delete(p.tasks[pod], k)
	if len(p.tasks[pod]) == 0 {
		delete(p.tasks, pod)
	}
}

// linuxCreated notes a Linux container of a pod.
func (m *Manager) linuxCreated(ctx context.Context, sandbox, id string) {
	namespace, _ := namespaces.Namespace(ctx) // without one it was not created
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pods.add(key{namespace, id}, sandbox, nil)
}

// linuxGone is for a task that upstream does not have (any more).
func (m *Manager) linuxGone(ctx context.Context, id string) {
	namespace, _ := namespaces.Namespace(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := (key{namespace, id}); m.tasks[k] == nil {
		m.pods.remove(k)
	}
}

// SandboxMetrics gives what the containers of a sandbox use together. It counts
// guests that ended until their tasks are deleted.
func (m *Manager) SandboxMetrics(ctx context.Context, sandbox string) (*ptypes.Any, error) {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	tasks := maps.Clone(m.pods.tasks[key{namespace, sandbox}])
	m.mu.Unlock()
	var sum usage
	for k, t := range tasks {
		if t != nil {
			sum.add(t.all())
		} else if u, err := m.linuxUsage(ctx, k.id); err == nil { // else it is about to start or to end
			sum.add(u)
		}
	}
	return metrics(sum)
}

// linuxUsage is what a Linux container uses.
func (m *Manager) linuxUsage(ctx context.Context, id string) (usage, error) {
	t, err := m.upstream.Get(ctx, id)
	if err != nil {
		return usage{}, err
	}
	stats, err := t.Stats(ctx)
	if err != nil {
		return usage{}, fmt.Errorf("statistics of task %q: %w", id, err)
	}
	v, err := typeurl.UnmarshalAny(stats)
	if err != nil {
		return usage{}, fmt.Errorf("statistics of task %q: %w", id, err)
	}
	switch v := v.(type) {
	case *v1.Metrics:
		return usage{
			cpu:      time.Duration(v.GetCPU().GetUsage().GetTotal()),
			memory:   v.GetMemory().GetUsage().GetUsage(),
			inactive: min(v.GetMemory().GetTotalInactiveFile(), v.GetMemory().GetUsage().GetUsage()),
			threads:  v.GetPids().GetCurrent(),
		}, nil
	case *v2.Metrics:
		return usage{
			cpu:      time.Duration(v.GetCPU().GetUsageUsec()) * time.Microsecond,
			memory:   v.GetMemory().GetUsage(),
			inactive: min(v.GetMemory().GetInactiveFile(), v.GetMemory().GetUsage()),
			threads:  v.GetPids().GetCurrent(),
		}, nil
	}
	return usage{}, fmt.Errorf("statistics of task %q are a %T: %w", id, v, errdefs.ErrNotImplemented)
}
