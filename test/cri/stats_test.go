// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

func (c *container) stats(t testing.TB) *criapi.ContainerStats {
	t.Helper()
	r, err := c.d.CRI().ContainerStats(c.ctx, &criapi.ContainerStatsRequest{ContainerId: c.id})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetStats()
}

func (p *pod) stats(t testing.TB) *criapi.LinuxPodSandboxStats {
	t.Helper()
	r, err := p.d.CRI().PodSandboxStats(p.ctx, &criapi.PodSandboxStatsRequest{PodSandboxId: p.id})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetStats().GetLinux()
}

// cpuTime is what the kernel counts for a thread (proc(5), schedstat), in ns.
func cpuTime(t testing.TB, d *daemon.Daemon, tid int) uint64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/schedstat", d.PID(), tid))
	if err != nil {
		t.Fatal(err)
	}
	ns, err := strconv.ParseUint(strings.Fields(string(b))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// The kernel's count of a running thread is as old as its last tick.
var tick = uint64(patience.For(20 * time.Millisecond))

// Statistics are in CRI's units, and say what the kernel and the guest say.
func TestStats(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *daemon.Daemon){
		"CPU": testStatsOfCPU, "memory": testStatsOfMemory, "network": testStatsOfTheNetwork, "writable layer": testStatsOfTheWritableLayer,
	} {
		t.Run(name, func(t *testing.T) { test(t, shared(t)) })
	}
}

func testStatsOfCPU(t *testing.T, d *daemon.Daemon) {
	p := wasmPod(t, d, host)
	busy, idle := p.run(t, containerConfig("spin")), p.run(t, containerConfig("sleep"))
	tid := busy.pid(t)
	daemon.Eventually(t, "a second of CPU time", func() error {
		if ns := cpuTime(t, d, tid); ns < uint64(time.Second) {
			return fmt.Errorf("%v", time.Duration(ns))
		}
		return nil
	})
	before := cpuTime(t, d, tid) / 1000 * 1000 // cgroup v2 has microseconds
	got := busy.stats(t).GetCpu().GetUsageCoreNanoSeconds().GetValue()
	pod := p.stats(t).GetCpu().GetUsageCoreNanoSeconds().GetValue()
	after := cpuTime(t, d, tid) + tick
	if got < before || got > after {
		t.Errorf("%d ns; the kernel counts %d to %d", got, before, after)
	}
	rest := idle.stats(t).GetCpu().GetUsageCoreNanoSeconds().GetValue()
	if rest > uint64(patience.For(100*time.Millisecond)) {
		t.Errorf("a guest that sleeps used %v", time.Duration(rest))
	}
	if pod < got || pod > after+rest {
		t.Errorf("the pod used %d ns; its guests %d to %d, and %d", pod, got, after, rest)
	}
	daemon.Eventually(t, "the use of now", func() error {
		s := p.stats(t)
		for _, c := range s.GetContainers() {
			nanoCores := c.GetCpu().GetUsageNanoCores().GetValue()
			if c.GetAttributes().GetId() == busy.id && nanoCores == 0 {
				return errors.New("none of a busy guest")
			}
			if nanoCores > 4e9 { // what is measured late looks like more than 1e9
				t.Errorf("a thread uses %d nanocores", nanoCores)
			}
		}
		return nil
	})
}

func testStatsOfMemory(t *testing.T, d *daemon.Daemon) {
	const held, limit = 32 << 20, 64 << 20
	for name, tc := range map[string]struct{ limit, available uint64 }{
		"no limit": {0, 0}, // as upstream says it
		"limit":    {limit, limit},
	} {
		t.Run(name, func(t *testing.T) {
			p := wasmPod(t, d, host)
			config := containerConfig("use", "memory", "32")
			config.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: int64(tc.limit)}
			c := p.run(t, config)
			idle := p.run(t, containerConfig("sleep"))
			c.waitForLog(t, "used")
			m := c.stats(t).GetMemory()
			used := m.GetWorkingSetBytes().GetValue()
			if used < held || used >= 2*held || m.GetUsageBytes().GetValue() != used || m.GetRssBytes().GetValue() != used {
				t.Errorf("with 32 MiB: %v", m)
			}
			if tc.available > 0 {
				tc.available -= used
			}
			if got := m.GetAvailableBytes().GetValue(); got != tc.available {
				t.Errorf("%d bytes are available, want %d", got, tc.available)
			}
			rest := idle.stats(t).GetMemory().GetWorkingSetBytes().GetValue()
			if rest == 0 || rest > 1<<20 {
				t.Errorf("a guest that sleeps has %d bytes", rest)
			}
			s := p.stats(t)
			if got := s.GetMemory(); got.GetWorkingSetBytes().GetValue() != used+rest || got.GetAvailableBytes().GetValue() != 0 {
				t.Errorf("the pod has %v, its guests %d and %d bytes", got, used, rest)
			}
			if got := s.GetProcess().GetProcessCount().GetValue(); got != 2 {
				t.Errorf("%d processes, want two guests", got)
			}
		})
	}
}

func testStatsOfTheNetwork(t *testing.T, d *daemon.Daemon) {
	p := wasmPod(t, d, own)
	p.run(t, containerConfig("sleep"))
	count := func() (rx, tx uint64) {
		n := p.stats(t).GetNetwork()
		if i := n.GetDefaultInterface(); i.GetName() != "eth0" || len(n.GetInterfaces()) != 1 {
			t.Fatalf("interfaces %v", n)
		}
		return n.GetDefaultInterface().GetRxBytes().GetValue(), n.GetDefaultInterface().GetTxBytes().GetValue()
	}
	rx, tx := count()
	conn, err := net.Dial("udp4", net.JoinHostPort(p.status(t).GetNetwork().GetIp(), "9"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const size, times = 1000, 100
	for range times {
		_, _ = conn.Write(make([]byte, size)) // nobody listens, which is an error for the next one
	}
	daemon.Eventually(t, "the datagrams", func() error {
		gotRx, gotTx := count()
		if gotRx-rx > 2*size*times {
			t.Fatalf("%d bytes came", gotRx-rx)
		}
		if gotRx-rx < size*times/2 || gotTx == tx { // the kernel may drop some
			return fmt.Errorf("%d bytes came, %d went", gotRx-rx, gotTx-tx)
		}
		return nil
	})
	if n := wasmPod(t, d, host).stats(t).GetNetwork(); n != nil {
		t.Errorf("a pod on the host's network has one of its own: %v", n)
	}
}

// CRI looks at snapshots now and then.
func testStatsOfTheWritableLayer(t *testing.T, d *daemon.Daemon) {
	p := wasmPod(t, d, host)
	writer, idle := p.run(t, containerConfig("use", "file", "/file", "10")), p.run(t, containerConfig("sleep"))
	writer.waitForLog(t, "used")
	daemon.Eventually(t, "10 MiB in the writable layer", func() error {
		l := writer.stats(t).GetWritableLayer()
		got := l.GetUsedBytes().GetValue()
		if got < 10<<20 {
			return fmt.Errorf("%d bytes", got)
		}
		if got > 11<<20 || l.GetFsId().GetMountpoint() == "" || l.GetInodesUsed().GetValue() == 0 {
			t.Errorf("the writable layer is %v", l)
		}
		return nil
	})
	// Its module is the image's.
	if got := idle.stats(t).GetWritableLayer().GetUsedBytes().GetValue(); got > 64<<10 {
		t.Errorf("a guest that writes nothing has %d bytes", got)
	}
}

// All lists of statistics have all pods and containers that run, of both kinds.
func TestStatsOfMixedPods(t *testing.T) {
	d := daemon.Start(t, daemon.WithBridge())
	d.Import(t, images.Pause(), images.Native("sleep"), images.Wasm("sleep"))
	guests, native := wasmPod(t, d, own), runPod(t, d, podConfig(t, d, own), "")
	c, sidecar := guests.run(t, containerConfig("sleep")), guests.run(t, sidecarConfig(criapi.NamespaceMode_POD))
	native.run(t, containerConfig(images.Native("sleep").Ref))
	ended := guests.run(t, containerConfig("sleep", "0"))
	ended.wait(t)

	containers, err := d.CRI().ListContainerStats(t.Context(), &criapi.ListContainerStatsRequest{})
	if err != nil || len(containers.GetStats()) != 4 {
		t.Errorf("statistics of containers: %v, %v", containers, err)
	}
	for _, s := range containers.GetStats() {
		if s.GetAttributes().GetId() == ended.id {
			if s.GetCpu() != nil || s.GetMemory() != nil {
				t.Errorf("a container that has ended uses %v", s)
			}
		} else if s.GetCpu().GetUsageCoreNanoSeconds() == nil || s.GetMemory().GetWorkingSetBytes().GetValue() == 0 {
			t.Errorf("a container that runs uses %v", s)
		}
	}
	pods, err := d.CRI().ListPodSandboxStats(t.Context(), &criapi.ListPodSandboxStatsRequest{})
	if err != nil || len(pods.GetStats()) != 2 {
		t.Errorf("statistics of pods: %v, %v", pods, err)
	}
	// What a sidecar uses, the pod uses.
	got := guests.stats(t).GetMemory().GetWorkingSetBytes().GetValue()
	guest, linux := c.stats(t).GetMemory().GetWorkingSetBytes().GetValue(), sidecar.stats(t).GetMemory().GetWorkingSetBytes().GetValue()
	if got < guest+linux/2 || got > guest+2*linux || linux < guest {
		t.Errorf("the pod has %d bytes, its containers %d and %d", got, guest, linux)
	}
	sidecar.stop(t, 0)
	sidecar.remove(t)
	if got, want := guests.stats(t).GetMemory().GetWorkingSetBytes().GetValue(), c.stats(t).GetMemory().GetWorkingSetBytes().GetValue(); got != want {
		t.Errorf("without the sidecar the pod has %d bytes, its guest %d", got, want)
	}
}
