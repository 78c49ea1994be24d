// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3"
	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	gcr "github.com/google/go-containerregistry/pkg/v1"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

const mib = 1 << 20

// limited describes a container of tools that sleeps.
func limited(r *criapi.LinuxContainerResources) *criapi.ContainerConfig {
	config := containerConfig(toolsImage)
	config.Linux.Resources = r
	return config
}

func (c *container) update(r *criapi.LinuxContainerResources) error {
	_, err := c.d.CRI().UpdateContainerResources(c.ctx, &criapi.UpdateContainerResourcesRequest{ContainerId: c.id, Linux: r})
	return err
}

// expectMemory checks how many MiB an exec gets, beside the little that the container
// has itself.
func (c *container) expectMemory(t *testing.T, limit int) {
	t.Helper()
	r, err := c.execSync(0, "/mem.wasm")
	var got int
	if err == nil {
		_, err = fmt.Sscanf(string(r.GetStdout()), "allocated %d MiB\n", &got)
	}
	if err != nil || got > limit || got < limit-3 {
		t.Errorf("an exec got %d MiB of %d (%v)", got, limit, err)
	}
}

// A guest that runs, and its execs, get more memory and less, as the limit says.
func TestMemoryLimitOfARunningContainer(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	c := p.run(t, limited(&criapi.LinuxContainerResources{MemoryLimitInBytes: 16 * mib}))
	c.expectMemory(t, 16)
	for _, limit := range []int{48, 8, 32} {
		if err := c.update(&criapi.LinuxContainerResources{MemoryLimitInBytes: int64(limit) * mib}); err != nil {
			t.Fatal(err)
		}
		c.expectMemory(t, limit)
		if got := c.status(t).GetResources().GetLinux().GetMemoryLimitInBytes(); got != int64(limit)*mib {
			t.Errorf("the status says %d", got)
		}
	}
	// What cannot be is an error that says why, and changes nothing.
	if err := c.update(&criapi.LinuxContainerResources{MemoryLimitInBytes: 1, CpuQuota: 20_000, CpuPeriod: 100_000}); err == nil || !strings.Contains(err.Error(), "a memory limit of 1 bytes is less than what the container has") {
		t.Errorf("one byte: %v", err)
	}
	if r := c.status(t).GetResources().GetLinux(); r.GetMemoryLimitInBytes() != 32*mib || r.GetCpuQuota() != 0 {
		t.Errorf("after a refused update the container has %v", r)
	}
	c.expectMemory(t, 32)
	// Before the start it is the limit that the container starts with.
	early := p.create(t, limited(&criapi.LinuxContainerResources{MemoryLimitInBytes: 1}))
	if err := early.update(&criapi.LinuxContainerResources{MemoryLimitInBytes: 24 * mib}); err != nil {
		t.Fatal(err)
	}
	if err := early.start(); err != nil {
		t.Fatal(err)
	}
	early.expectMemory(t, 24)
	// Afterwards it is a record.
	early.stop(t, 0)
	if err := early.update(&criapi.LinuxContainerResources{MemoryLimitInBytes: 8 * mib}); err != nil {
		t.Error(err)
	}
}

// A guest that runs gets more memory itself, too, and is asked nothing of what it has.
func TestGuestGrowsAfterItsLimitIsRaised(t *testing.T) {
	d := shared(t)
	module, err := images.CompileFile(t.Context(), "testdata/grow.c")
	if err != nil {
		t.Fatal(err)
	}
	const ref = "example.com/grow:latest"
	img, err := images.New(images.Host(), gcr.Config{Entrypoint: []string{"/grow.wasm"}}, map[string][]byte{"/grow.wasm": module})
	if err != nil {
		t.Fatal(err)
	}
	d.ImportImage(t, ref, img)
	config := containerConfig(ref)
	config.Stdin = true
	config.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: 16 * mib}
	c := wasmPod(t, d, host).run(t, config)
	term := d.CrictlOnTerminal(t, "attach", "-i", c.id)
	expect := func(limit int) {
		t.Helper()
		daemon.Eventually(t, fmt.Sprintf("almost %d MiB", limit), func() error {
			term.Type(t, "\r") // again, for who was not attached yet
			said := c.logs(t, "stdout")
			var got int
			_, err := fmt.Sscanf(said[max(strings.LastIndex(said, "has"), 0):], "has %d MiB\n", &got)
			if err != nil || got > limit || got < limit-2 {
				return fmt.Errorf("%d MiB, %w: %q", got, err, said)
			}
			return nil
		})
	}
	expect(16)
	for _, limit := range []int{24, 64} {
		if err := c.update(&criapi.LinuxContainerResources{MemoryLimitInBytes: int64(limit) * mib}); err != nil {
			t.Fatal(err)
		}
		expect(limit)
	}
	if err := c.update(&criapi.LinuxContainerResources{MemoryLimitInBytes: 32 * mib}); err == nil || !strings.Contains(err.Error(), "is less than what the container has") {
		t.Errorf("less than it has: %v", err)
	}
	expect(64)
	c.stop(t, 300)
	c.expectExit(t, 143, "Error")
}

// Who makes do with less has ended well. An exec that dies of the limit is not the end of
// its container, nor the reason of a later one.
func TestSurvivorsOfAMemoryLimit(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	limit := &criapi.LinuxContainerResources{MemoryLimitInBytes: 16 * mib}
	coping := containerConfig("mem")
	coping.Linux.Resources = limit
	p.run(t, coping).expectExit(t, 0, "Completed")
	for timeout, code := range map[int64]int32{300: 143, 0: 137} {
		c := p.run(t, limited(limit))
		if r, err := c.execSync(0, "/mem.wasm", "die"); err != nil || r.GetExitCode() != 137 {
			t.Errorf("an exec that died of the limit: code %d (%v)", r.GetExitCode(), err)
		}
		if s := c.status(t).GetState(); s != criapi.ContainerState_CONTAINER_RUNNING {
			t.Errorf("its container is %v", s)
		}
		c.expectMemory(t, 16)
		c.stop(t, timeout)
		c.expectExit(t, code, "Error")
	}
}

// The least that Kubernetes passes on, and less.
func TestVerySmallLimits(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	for _, limit := range []int64{1, 4 << 10, 64<<10 - 1, 64 << 10} {
		config := limited(&criapi.LinuxContainerResources{MemoryLimitInBytes: limit})
		p.create(t, config).expectStartError(t, fmt.Sprintf("of memory to start, its limit is %d KiB", limit>>10))
	}
	for name, r := range map[string]*criapi.LinuxContainerResources{
		"1m of a CPU":    {CpuShares: 2, CpuPeriod: 100_000, CpuQuota: 1000},
		"no shares":      {CpuShares: 2},
		"a short period": {CpuPeriod: 1000, CpuQuota: 1000},
		"1 MiB":          {MemoryLimitInBytes: mib},
	} {
		config := limited(r)
		config.Metadata.Name = name
		c := p.run(t, config)
		if got, err := c.execSync(0, "/exit.wasm", "7"); err != nil || got.GetExitCode() != 7 {
			t.Errorf("%s: an exec ended with code %d (%v)", name, got.GetExitCode(), err)
		}
		c.stop(t, 300)
		c.expectExit(t, 143, "Error")
	}
	for want, r := range map[string]*criapi.LinuxContainerResources{
		"cpu.shares 1 ":      {CpuShares: 1},
		"cpu.quota 999 ":     {CpuPeriod: 100_000, CpuQuota: 999},
		"cpu.period 999 ":    {CpuPeriod: 999, CpuQuota: 1000},
		"cpu.period 1000001": {CpuPeriod: 1_000_001, CpuQuota: 1000},
		`cpu.cpus "x"`:       {CpusetCpus: "x"},
	} {
		p.create(t, limited(r)).expectStartError(t, want)
	}
}

// cpuTime is that of the container's guest, as the kernel counts it.
func (c *container) cpuTime(t testing.TB) time.Duration {
	t.Helper()
	return time.Duration(cpuTime(t, c.d, c.pid(t)))
}

func TestCPUQuotaOfARunningContainer(t *testing.T) {
	d := shared(t)
	config := containerConfig("spin")
	config.Linux.Resources = &criapi.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: 20_000}
	c := wasmPod(t, d, host).run(t, config)
	expect := func(share time.Duration) {
		t.Helper()
		begin, before := time.Now(), c.cpuTime(t)
		time.Sleep(time.Second)
		cpu, wall := c.cpuTime(t)-before, time.Since(begin)
		// A period that was under way at either end counts whole.
		if limit := wall*share/100 + 100*time.Millisecond*share/100*3; cpu > limit || cpu == 0 {
			t.Errorf("with %d %% the guest had %v of CPU time in %v", share, cpu, wall)
		}
	}
	expect(20)
	if err := c.update(&criapi.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: 5_000}); err != nil {
		t.Fatal(err)
	}
	expect(5)
	if err := c.update(&criapi.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: -1}); err != nil {
		t.Fatal(err)
	}
	daemon.Eventually(t, "more than the quota was", func() error {
		begin, before := time.Now(), c.cpuTime(t)
		time.Sleep(500 * time.Millisecond)
		if cpu, wall := c.cpuTime(t)-before, time.Since(begin); cpu < wall/10 {
			return fmt.Errorf("%v in %v", cpu, wall)
		}
		return nil
	})
}

// As kubelet says what a container has requested.
func TestCPUSharesInAPod(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	run := func(shares int64) *container {
		config := containerConfig("spin")
		config.Linux.Resources = &criapi.LinuxContainerResources{CpuShares: shares, CpusetCpus: "0"}
		return p.run(t, config)
	}
	many, few := run(2048), run(2)
	share := func(want string, enough func(many, few time.Duration) bool) {
		t.Helper()
		daemon.Eventually(t, want, func() error {
			m, f := many.cpuTime(t), few.cpuTime(t)
			time.Sleep(500 * time.Millisecond)
			if m, f = many.cpuTime(t)-m, few.cpuTime(t)-f; !enough(m, f) {
				return fmt.Errorf("one got %v, the other %v", m, f)
			}
			return nil
		})
	}
	share("2048 shares to get more than 2", func(m, f time.Duration) bool { return m > 4*f })
	for c, shares := range map[*container]int64{many: 2, few: 2048} {
		if err := c.update(&criapi.LinuxContainerResources{CpuShares: shares}); err != nil {
			t.Fatal(err)
		}
	}
	share("the shares to change", func(m, f time.Duration) bool { return f > 4*m })
}

// taskMetrics are what `ctr task metrics` says, in nanoseconds and bytes.
type taskMetrics struct {
	cpu                    time.Duration
	memory, limit, threads uint64
	// others are the numbers of what guests do not have.
	others []uint64
}

func (c *container) taskMetrics(t *testing.T) (m taskMetrics) {
	t.Helper()
	out := c.d.Ctr(t, "--namespace", daemon.CRINamespace, "tasks", "metrics", "--format", "json", c.id)
	if out.Code != 0 {
		t.Fatalf("ctr tasks metrics: %+v", out)
	}
	var err error
	if cgroups.Mode() == cgroups.Unified {
		var s v2.Metrics
		err = json.Unmarshal([]byte(out.Stdout), &s)
		m = taskMetrics{
			cpu:    time.Duration(s.GetCPU().GetUsageUsec()) * time.Microsecond,
			memory: s.GetMemory().GetUsage(), limit: s.GetMemory().GetUsageLimit(), threads: s.GetPids().GetCurrent(),
			others: []uint64{
				s.GetCPU().GetThrottledUsec(), s.GetCPU().GetNrPeriods(), s.GetMemory().GetSwapUsage(), s.GetMemory().GetFile(),
				s.GetMemory().GetPgfault(), s.GetMemory().GetPgmajfault(), uint64(len(s.GetIo().GetUsage())), uint64(len(s.GetHugetlb())),
			},
		}
	} else {
		var s v1.Metrics
		err = json.Unmarshal([]byte(out.Stdout), &s)
		m = taskMetrics{
			cpu:    time.Duration(s.GetCPU().GetUsage().GetTotal()),
			memory: s.GetMemory().GetUsage().GetUsage(), limit: s.GetMemory().GetUsage().GetLimit(), threads: s.GetPids().GetCurrent(),
			others: []uint64{
				s.GetCPU().GetThrottling().GetThrottledTime(), s.GetCPU().GetThrottling().GetPeriods(), s.GetMemory().GetSwap().GetUsage(), s.GetMemory().GetTotalCache(),
				s.GetMemory().GetPgFault(), s.GetMemory().GetPgMajFault(), uint64(len(s.GetBlkio().GetIoServiceBytesRecursive())), uint64(len(s.GetHugetlb())),
			},
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTaskMetrics(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	config := containerConfig("spin")
	config.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: 64 * mib}
	busy := p.run(t, config)
	daemon.Eventually(t, "100 ms of CPU time", func() error {
		before, m, after := busy.cpuTime(t), busy.taskMetrics(t), busy.cpuTime(t)
		if m.cpu < before.Truncate(time.Microsecond) || m.cpu > after {
			t.Errorf("CPU time %v, which is not between %v and %v", m.cpu, before, after)
		}
		if m.limit != 64*mib || m.threads != 1 || m.memory == 0 || m.memory%(64<<10) != 0 || m.memory > mib {
			t.Errorf("limit %d, threads %d, memory %d", m.limit, m.threads, m.memory)
		}
		if m.cpu < 100*time.Millisecond {
			return errors.New(m.cpu.String())
		}
		return nil
	})
	idle := p.run(t, containerConfig(toolsImage))
	idle.waitForLog(t, "sleeping")
	before := idle.taskMetrics(t)
	// The kernel says that there is no limit by a number that no machine has.
	if before.limit != 0 && before.limit < 1<<60 || before.cpu > patience.For(time.Second) {
		t.Errorf("no limit is %d, and a guest that sleeps took %v", before.limit, before.cpu)
	}
	for i, n := range before.others {
		if n != 0 {
			t.Errorf("number %d of what a guest does not have is %d", i, n)
		}
	}
	time.Sleep(100 * time.Millisecond)
	if after := idle.taskMetrics(t); after.cpu != before.cpu || after.memory != before.memory {
		t.Errorf("a guest that sleeps had %+v, then %+v", before, after)
	}
	// Execs count, and their CPU time stays.
	if _, err := idle.execSync(1, "/spin.wasm"); err == nil {
		t.Error("an endless loop ended")
	}
	if after := idle.taskMetrics(t); after.cpu < before.cpu+50*time.Millisecond || after.threads != 1 || after.memory != before.memory {
		t.Errorf("after an exec that was busy for a second: %+v", after)
	}
	if out := d.Ctr(t, "--namespace", daemon.CRINamespace, "tasks", "metrics", idle.id); out.Code != 0 || !strings.Contains(out.Stdout, fmt.Sprintf(" %d ", before.memory)) {
		t.Errorf("as a table: %+v", out)
	}
}
