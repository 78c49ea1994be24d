// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"

	"github.com/containerd/cgroups/v3"
	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/typeurl/v2"
)

// Stats gives the guest's CPU time and linear memory in the message that CRI,
// the Prometheus collector and `ctr task metrics` decode on this host: that of
// its cgroup version.
func (t *task) Stats(context.Context) (*ptypes.Any, error) {
	cpu, memory := t.guest.CPUTime(), t.guest.Memory()
	var m any
	if cgroups.Mode() == cgroups.Unified {
		m = &v2.Metrics{
			Pids:   &v2.PidsStat{Current: 1},
			CPU:    &v2.CPUStat{UsageUsec: uint64(cpu.Microseconds()), UserUsec: uint64(cpu.Microseconds())},
			Memory: &v2.MemoryStat{Usage: memory, UsageLimit: t.limit, Anon: memory},
		}
	} else {
		m = &v1.Metrics{
			Pids:   &v1.PidsStat{Current: 1},
			CPU:    &v1.CPUStat{Usage: &v1.CPUUsage{Total: uint64(cpu), User: uint64(cpu)}, Throttling: &v1.Throttle{}},
			Memory: &v1.MemoryStat{Usage: &v1.MemoryEntry{Usage: memory, Limit: t.limit}, TotalRSS: memory, RSS: memory},
		}
	}
	return typeurl.MarshalAnyToProto(m)
}
