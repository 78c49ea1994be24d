// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3"
	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
)

// linuxTask is one of a shim.
type linuxTask struct {
	runtime.Task
	stats any
	err   error
}

func (t linuxTask) Stats(context.Context) (*ptypes.Any, error) {
	if t.err != nil {
		return nil, t.err
	}
	return typeurl.MarshalAnyToProto(t.stats)
}

// shims are upstream's tasks.
type shims struct {
	runtime.PlatformRuntime
	tasks map[string]linuxTask
}

func (s *shims) Create(context.Context, string, runtime.CreateOpts) (runtime.Task, error) {
	return nil, nil
}

func (s *shims) Get(_ context.Context, id string) (runtime.Task, error) {
	if t, ok := s.tasks[id]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("task %q: %w", id, errdefs.ErrNotFound)
}

func (s *shims) Delete(_ context.Context, id string) (*runtime.Exit, error) {
	delete(s.tasks, id)
	return &runtime.Exit{}, nil
}

// What Linux containers of a pod use, the pod uses, until they are gone.
func TestMetricsOfMixedPods(t *testing.T) {
	u := &shims{tasks: map[string]linuxTask{
		"one": {stats: &v1.Metrics{
			CPU:    &v1.CPUStat{Usage: &v1.CPUUsage{Total: 3000}},
			Memory: &v1.MemoryStat{Usage: &v1.MemoryEntry{Usage: 100}, TotalInactiveFile: 40},
			Pids:   &v1.PidsStat{Current: 2},
		}},
		"two": {stats: &v2.Metrics{
			CPU:    &v2.CPUStat{UsageUsec: 4},
			Memory: &v2.MemoryStat{Usage: 10, InactiveFile: 20}, // read one after the other
			Pids:   &v2.PidsStat{Current: 1},
		}},
		"ending":  {err: errors.New("the shim is gone")},
		"strange": {stats: &v1.CPUUsage{}},
		"empty":   {stats: &v1.Metrics{}},
	}}
	m := &Manager{tasks: map[key]*task{}, pods: newPods()}
	merged := Merge(u, m)
	ctx := namespaces.WithNamespace(t.Context(), "test")
	for id := range u.tasks {
		m.linuxCreated(ctx, "pod", id)
	}
	m.linuxCreated(ctx, "other", "elsewhere")
	expect := func(want usage) {
		t.Helper()
		got, err := m.SandboxMetrics(ctx, "pod")
		if err != nil {
			t.Fatal(err)
		}
		wanted, err := metrics(want)
		if err != nil || string(got.GetValue()) != string(wanted.GetValue()) {
			t.Errorf("got %v, want %v (%v)", got, wanted, err)
		}
	}
	expect(usage{cpu: 7 * time.Microsecond, memory: 110, inactive: 50, threads: 3})
	if _, err := merged.Delete(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	expect(usage{cpu: 4 * time.Microsecond, memory: 10, inactive: 10, threads: 1})
	for _, id := range []string{"two", "ending", "strange", "empty", "elsewhere"} {
		delete(u.tasks, id) // as when a shim dies
		if _, err := merged.Get(ctx, id); !errdefs.IsNotFound(err) {
			t.Errorf("%s: %v", id, err)
		}
	}
	expect(usage{})
	if len(m.pods.tasks)+len(m.pods.of) != 0 {
		t.Errorf("what is gone is kept: %+v", m.pods)
	}
	if _, err := m.SandboxMetrics(t.Context(), "pod"); err == nil {
		t.Error("without a namespace")
	}
}

func TestPodsOfGuests(t *testing.T) {
	p := newPods()
	a, b := key{"ns", "a"}, key{"ns", "b"}
	p.add(a, "pod", &task{})
	p.add(b, "pod", &task{})
	p.add(key{"another", "a"}, "pod", nil)
	if n := len(p.tasks[key{"ns", "pod"}]); n != 2 {
		t.Errorf("%d tasks", n)
	}
	p.remove(a)
	p.remove(a)
	p.remove(key{"ns", "unknown"})
	if n := len(p.tasks[key{"ns", "pod"}]); n != 1 {
		t.Errorf("%d tasks", n)
	}
	p.remove(b)
	p.remove(key{"another", "a"})
	if len(p.tasks)+len(p.of) != 0 {
		t.Errorf("left: %+v", p)
	}
}

// CRI takes a limit of 0 for one, and less for available than there is.
func TestMetricsWithoutALimit(t *testing.T) {
	if got := metricsV1(usage{memory: 5}).GetMemory().GetUsage().GetLimit(); got != 9223372036854771712 {
		t.Errorf("limit %d", got)
	}
	if got := metricsV2(usage{memory: 5}).GetMemory().GetUsageLimit(); got != math.MaxUint64 {
		t.Errorf("limit %d", got)
	}
	u := usage{cpu: 1500 * time.Microsecond, memory: 9, inactive: 4, limit: 7, threads: 2, ooms: 3}
	one, two := metricsV1(u), metricsV2(u)
	if one.GetCPU().GetUsage().GetTotal() != 1500_000 || two.GetCPU().GetUsageUsec() != 1500 {
		t.Errorf("CPU time %v, %v", one.GetCPU(), two.GetCPU())
	}
	if one.GetMemory().GetUsage().GetLimit() != 7 || one.GetMemory().GetTotalRSS() != 5 || one.GetMemoryOomControl().GetOomKill() != 3 {
		t.Errorf("memory %v", one)
	}
	if two.GetMemory().GetUsageLimit() != 7 || two.GetMemory().GetAnon() != 5 || two.GetMemoryEvents().GetOomKill() != 3 {
		t.Errorf("memory %v", two)
	}
	if m, err := metrics(u); err != nil || typeurl.Is(m, two) != (cgroups.Mode() == cgroups.Unified) {
		t.Errorf("the type on this host is %v, %v", m.GetTypeUrl(), err)
	}
}
