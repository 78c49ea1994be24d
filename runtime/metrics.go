// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"time"

	"github.com/containerd/cgroups/v3"
	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/typeurl/v2"
)

// Stats gives the CPU time and linear memory of the task's guest and its execs.
func (t *task) Stats(context.Context) (*ptypes.Any, error) {
	u := t.all()
	u.limit = t.limit
	return metrics(u)
}

func (t *task) all() usage {
	u := t.usage()
	u.add(t.execs.usage())
	return u
}

// SandboxMetrics gives what the guests of a sandbox use together. It counts
// those that ended until their tasks are deleted.
func (m *Manager) SandboxMetrics(ctx context.Context, sandbox string) (*ptypes.Any, error) {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	var guests []*task
	for k, t := range m.tasks {
		if t != nil && k.namespace == namespace && t.sandbox == sandbox {
			guests = append(guests, t)
		}
	}
	m.mu.Unlock()
	var sum usage
	for _, t := range guests {
		sum.add(t.all())
	}
	return metrics(sum)
}

type usage struct {
	cpu           time.Duration
	memory, limit uint64 // bytes; limit 0: none
	threads       uint64
}

func (u *usage) add(v usage) {
	u.cpu += v.cpu
	u.memory += v.memory
	u.threads += v.threads
}

// usage is what one guest took, and takes if it is there.
func (p *process) usage() usage {
	u := usage{cpu: p.guest.CPUTime(), memory: p.guest.Memory()}
	if !p.over() {
		u.threads = 1
	}
	return u
}

// metrics makes the message that CRI, the Prometheus collector and `ctr task
// metrics` decode on this host: that of its cgroup version.
func metrics(u usage) (*ptypes.Any, error) {
	var m any
	if cgroups.Mode() == cgroups.Unified {
		m = &v2.Metrics{
			Pids:   &v2.PidsStat{Current: u.threads},
			CPU:    &v2.CPUStat{UsageUsec: uint64(u.cpu.Microseconds()), UserUsec: uint64(u.cpu.Microseconds())},
			Memory: &v2.MemoryStat{Usage: u.memory, UsageLimit: u.limit, Anon: u.memory},
		}
	} else {
		m = &v1.Metrics{
			Pids:   &v1.PidsStat{Current: u.threads},
			CPU:    &v1.CPUStat{Usage: &v1.CPUUsage{Total: uint64(u.cpu), User: uint64(u.cpu)}, Throttling: &v1.Throttle{}},
			Memory: &v1.MemoryStat{Usage: &v1.MemoryEntry{Usage: u.memory, Limit: u.limit}, TotalRSS: u.memory, RSS: u.memory},
		}
	}
	return typeurl.MarshalAnyToProto(m)
}
