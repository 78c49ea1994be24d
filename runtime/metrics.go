// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/containerd/cgroups/v3"
	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/typeurl/v2"
)

// Stats gives the CPU time and linear memory of the task's guest and its execs.
func (t *task) Stats(context.Context) (*ptypes.Any, error) {
	u := t.all()
	u.limit = t.limit.Load()
	u.ooms = t.ooms.Load()
	return metrics(u)
}

func (t *task) all() usage {
	u := t.usage()
	u.add(t.execs.usage())
	return u
}

// linearMemory is that of all guests, in bytes.
func (m *Manager) linearMemory() uint64 {
	var sum uint64
	for _, t := range m.all() {
		sum += t.guest.Memory()
		for _, x := range t.execs.list() {
			sum += x.guest.Memory()
		}
	}
	return sum
}

// all tasks, of all namespaces.
func (m *Manager) all() []*task {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Values(m.tasks)), func(t *task) bool { return t == nil })
}

type usage struct {
	cpu           time.Duration
	memory, limit uint64 // bytes; limit 0: none
	inactive      uint64 // bytes of memory which the kernel takes back at need
	threads       uint64
	ooms          uint64 // how often a guest died of its limit
}

func (u *usage) add(v usage) {
	u.cpu += v.cpu
	u.memory += v.memory
	u.inactive += v.inactive
	u.threads += v.threads
	u.ooms += v.ooms
}

// usage is what one guest took, and takes if it is there.
func (p *process) usage() usage {
	u := usage{cpu: p.guest.CPUTime(), memory: p.guest.Memory()}
	if !p.over() {
		u.threads = 1
	}
	return u
}

// What the kernel says where there is no limit; CRI takes 0 for one.
const (
	noLimitV1 = math.MaxInt64 / 4096 * 4096
	noLimitV2 = math.MaxUint64
)

// metrics makes the message that CRI, the Prometheus collector and `ctr task
// metrics` decode on this host: that of its cgroup version.
func metrics(u usage) (*ptypes.Any, error) {
	if cgroups.Mode() == cgroups.Unified {
		return typeurl.MarshalAnyToProto(metricsV2(u))
	}
	return typeurl.MarshalAnyToProto(metricsV1(u))
}

func metricsV1(u usage) *v1.Metrics {
	if u.limit == 0 {
		u.limit = noLimitV1
	}
	return &v1.Metrics{
		Pids: &v1.PidsStat{Current: u.threads},
		CPU:  &v1.CPUStat{Usage: &v1.CPUUsage{Total: uint64(u.cpu), User: uint64(u.cpu)}, Throttling: &v1.Throttle{}},
		Memory: &v1.MemoryStat{
			Usage:    &v1.MemoryEntry{Usage: u.memory, Limit: u.limit},
			TotalRSS: u.memory - u.inactive, RSS: u.memory - u.inactive,
			TotalInactiveFile: u.inactive, InactiveFile: u.inactive,
		},
		MemoryOomControl: &v1.MemoryOomControl{OomKill: u.ooms},
	}
}

func metricsV2(u usage) *v2.Metrics {
	if u.limit == 0 {
		u.limit = noLimitV2
	}
	micros := uint64(u.cpu.Microseconds())
	return &v2.Metrics{
		Pids:         &v2.PidsStat{Current: u.threads},
		CPU:          &v2.CPUStat{UsageUsec: micros, UserUsec: micros},
		Memory:       &v2.MemoryStat{Usage: u.memory, UsageLimit: u.limit, Anon: u.memory - u.inactive, InactiveFile: u.inactive},
		MemoryEvents: &v2.MemoryEvents{OomKill: u.ooms},
	}
}
