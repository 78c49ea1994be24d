// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup2"
	nri "github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"golang.org/x/sys/unix"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// nriPlugin is one that NRI runs with the daemon, for a test.
type nriPlugin struct {
	stub.Stub
	create func(*nri.ContainerAdjustment)     // what CRI is about to create
	update func(string, *nri.ContainerUpdate) // what CRI is about to update

	mu     sync.Mutex
	events []string // "StartContainer NAME"

	synchronized chan struct{}
	known        []string // pods and containers that were there before it
}

// startPlugin connects a plugin to the daemon, for the rest of the test.
func startPlugin(t testing.TB, d *daemon.Daemon, p *nriPlugin) *nriPlugin {
	t.Helper()
	s, err := stub.New(p, stub.WithPluginName("test"), stub.WithPluginIdx("10"), stub.WithSocketPath(filepath.Join(d.Dir, "nri.sock")))
	if err != nil {
		t.Fatal(err)
	}
	p.Stub, p.synchronized = s, make(chan struct{})
	if err := s.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		s.Wait()
	})
	// From then on NRI asks it, also about what comes in the meantime.
	select {
	case <-p.synchronized:
	case <-time.After(daemon.Patience):
		t.Fatal("NRI does not use the plugin")
	}
	return p
}

func (p *nriPlugin) saw(event, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, event+" "+name)
}

// seen are the events of a pod or container, without its name.
func (p *nriPlugin) seen(name string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, e := range p.events {
		if event, ok := strings.CutSuffix(e, " "+name); ok {
			out = append(out, event)
		}
	}
	return out
}

func (p *nriPlugin) Synchronize(_ context.Context, pods []*nri.PodSandbox, containers []*nri.Container) ([]*nri.ContainerUpdate, error) {
	defer close(p.synchronized)
	for _, pod := range pods {
		p.known = append(p.known, pod.GetName()+" "+pod.GetRuntimeHandler())
	}
	for _, c := range containers {
		p.known = append(p.known, fmt.Sprintf("%s %v %d", c.GetName(), c.GetState(), c.GetPid()))
	}
	return nil, nil
}

func (p *nriPlugin) RunPodSandbox(_ context.Context, pod *nri.PodSandbox) error {
	p.saw("RunPodSandbox", pod.GetName())
	return nil
}

func (p *nriPlugin) StopPodSandbox(_ context.Context, pod *nri.PodSandbox) error {
	p.saw("StopPodSandbox", pod.GetName())
	return nil
}

func (p *nriPlugin) RemovePodSandbox(_ context.Context, pod *nri.PodSandbox) error {
	p.saw("RemovePodSandbox", pod.GetName())
	return nil
}

func (p *nriPlugin) CreateContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error) {
	p.saw("CreateContainer", c.GetName())
	adjust := &nri.ContainerAdjustment{}
	if p.create != nil {
		p.create(adjust)
	}
	return adjust, nil, nil
}

func (p *nriPlugin) PostCreateContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) error {
	p.saw("PostCreateContainer", c.GetName())
	return nil
}

func (p *nriPlugin) StartContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) error {
	p.saw("StartContainer", c.GetName())
	return nil
}

func (p *nriPlugin) PostStartContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) error {
	p.saw("PostStartContainer", c.GetName())
	return nil
}

func (p *nriPlugin) UpdateContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container, _ *nri.LinuxResources) ([]*nri.ContainerUpdate, error) {
	p.saw("UpdateContainer", c.GetName())
	if p.update == nil {
		return nil, nil
	}
	u := &nri.ContainerUpdate{}
	p.update(c.GetId(), u)
	return []*nri.ContainerUpdate{u}, nil
}

func (p *nriPlugin) StopContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) ([]*nri.ContainerUpdate, error) {
	p.saw("StopContainer", c.GetName())
	return nil, nil
}

func (p *nriPlugin) RemoveContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) error {
	p.saw("RemoveContainer", c.GetName())
	return nil
}

// expectEvents compares them in no order: a guest's end is told in the background, and
// may be so before its start.
func (p *nriPlugin) expectEvents(t testing.TB, name string, want ...string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	daemon.Eventually(t, "events of "+name, func() error {
		if got := slices.Sorted(slices.Values(p.seen(name))); !slices.Equal(got, want) {
			return fmt.Errorf("%q, want %q", got, want)
		}
		return nil
	})
}

// cpuFiles are files of the cgroup of a guest, as one line each.
func (c *container) cpuFiles(t testing.TB) map[string]string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.pid(t)))
	if err != nil {
		t.Fatal(err)
	}
	dir := c.d.GuestCgroup()
	for line := range strings.Lines(string(b)) {
		if _, number, ok := strings.Cut(strings.TrimSpace(line), filepath.Base(dir)+"/"); ok {
			dir = filepath.Join(dir, number)
		}
	}
	out := map[string]string{}
	for _, name := range []string{"cpu.shares", "cpu.cfs_quota_us", "cpu.weight", "cpu.max"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			out[name] = strings.TrimSpace(string(b))
		}
	}
	return out
}

// expectCPU is for a period of 100 ms, in either version of cgroups.
func (c *container) expectCPU(t testing.TB, shares uint64, quota int) {
	t.Helper()
	want := map[string]string{"cpu.shares": fmt.Sprint(shares), "cpu.cfs_quota_us": fmt.Sprint(quota)}
	if cgroups.Mode() == cgroups.Unified {
		weight := cgroup2.ConvertCPUSharesToCgroupV2Value(shares)
		want = map[string]string{"cpu.weight": fmt.Sprint(weight), "cpu.max": fmt.Sprintf("%d 100000", quota)}
	}
	if got := c.cpuFiles(t); !maps.Equal(got, want) {
		t.Errorf("the guest's cgroup has %v, want %v", got, want)
	}
}

func TestNRIAdjustsGuests(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	volume := t.TempDir()
	writeFile(t, volume+"/file", "by NRI")
	startPlugin(t, d, &nriPlugin{create: func(a *nri.ContainerAdjustment) {
		a.AddEnv("ADDED", "by NRI")
		a.AddEnv("CHANGED", "by NRI")
		a.SetArgs([]string{"/sleep.wasm"})
		a.AddAnnotation("nri/annotation", "value")
		a.AddMount(&nri.Mount{Type: "bind", Source: volume, Destination: "/nri", Options: []string{"rbind", "ro"}})
		a.RemoveMount("/removed")
		a.SetLinuxMemoryLimit(16 << 20)
		a.SetLinuxCPUShares(512)
		a.SetLinuxCPUQuota(30_000)
		a.SetLinuxCPUPeriod(100_000)
		a.SetLinuxCPUSetCPUs("0")
		a.AddRlimit("RLIMIT_NOFILE", 4, 4)
		// Without effect, and no error.
		a.SetLinuxCgroupsPath("/somewhere/else")
		adj := -500
		a.SetLinuxOomScoreAdj(&adj)
		a.SetLinuxPidLimits(10)
		a.SetLinuxSysctl("net.ipv4.ip_unprivileged_port_start", "1")
		a.AddHooks(&nri.Hooks{Poststart: []*nri.Hook{{Path: "/does/not/exist"}}})
	}})
	config := tools(bind(t.TempDir(), "/removed"))
	config.Command = []string{"/exit.wasm", "9"}
	config.Envs = []*criapi.KeyValue{{Key: "CHANGED", Value: []byte("1")}, {Key: "KEPT", Value: []byte("1")}}
	c := p.run(t, config)
	c.waitForLog(t, "sleeping")
	spec := c.spec(t)
	if got := spec.Annotations["nri/annotation"]; got != "value" {
		t.Errorf("the annotation is %q", got)
	}
	r, err := c.execSync(60, "/env.wasm")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(r.GetStdout()), "\n")
	for _, want := range []string{"env ADDED=by NRI", "env CHANGED=by NRI", "env KEPT=1"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %q among %q", want, lines)
		}
	}
	c.expectCPU(t, 512, 30_000)
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(c.pid(t), &cpus); err != nil || cpus.Count() != 1 || !cpus.IsSet(0) {
		t.Errorf("the guest runs on %v, %v", cpus, err)
	}
	// All that it may open are stdio and its root.
	c.expectExec(t, 1, "/nri/file: ", "/cat.wasm", "/nri/file")
	c.expectRoom(t, 16)
	c.stop(t, 0)
}

// expectRoom has an exec take all memory that it can get.
func (c *container) expectRoom(t testing.TB, limit int) {
	t.Helper()
	r, err := c.execSync(60, "/mem.wasm")
	var mib int
	if err == nil {
		_, err = fmt.Sscanf(string(r.GetStdout()), "allocated %d MiB", &mib)
	}
	if err != nil || mib >= limit || mib < limit/2 {
		t.Errorf("under a limit of %d MiB: %v, %v", limit, r, err)
	}
}

func TestNRIMounts(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	a, b := t.TempDir(), t.TempDir()
	writeFile(t, a+"/file", "of the pod")
	writeFile(t, b+"/file", "by NRI")
	startPlugin(t, d, &nriPlugin{create: func(adjust *nri.ContainerAdjustment) {
		// A nested one first: NRI sorts them.
		adjust.AddMount(&nri.Mount{Type: "bind", Source: b, Destination: "/pod/below", Options: []string{"rbind", "ro"}})
		adjust.AddMount(&nri.Mount{Type: "bind", Source: b, Destination: "/replaced", Options: []string{"rbind"}})
		adjust.AddMount(&nri.Mount{Type: "tmpfs", Source: "tmpfs", Destination: "/scratch", Options: []string{"size=64k"}})
		adjust.RemoveMount("/removed")
	}})
	c := p.run(t, tools(bind(a, "/pod"), bind(a, "/replaced"), bind(a, "/removed")))
	for path, want := range map[string]string{"/pod/file": "of the pod", "/pod/below/file": "by NRI", "/replaced/file": "by NRI"} {
		c.expectExec(t, 0, want, "/cat.wasm", path)
	}
	c.expectExec(t, 1, "No such file", "/cat.wasm", "/removed/file")
	c.expectExec(t, 1, "Read-only file system", "/write.wasm", "/pod/below/file", "text")
	c.expectExec(t, 0, "", "/write.wasm", "/scratch/file", "text")
	c.expectExec(t, 0, "text", "/cat.wasm", "/scratch/file")
	c.expectExec(t, 1, "No space left on device", "/write.wasm", "/scratch/file", strings.Repeat("x", 100_000))
	c.stop(t, 0)
}

func TestNRIAdjustmentsThatAreRefused(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	plugin := startPlugin(t, d, &nriPlugin{})
	for want, adjust := range map[string]func(*nri.ContainerAdjustment){
		`device "/dev/kvm": guests of runtime`: func(a *nri.ContainerAdjustment) {
			a.AddDevice(&nri.LinuxDevice{Path: "/dev/kvm", Type: "c", Major: 10, Minor: 232})
		},
		`network device "eth7"`: func(a *nri.ContainerAdjustment) {
			a.AddLinuxNetDevice("eth7", &nri.LinuxNetDevice{Name: "eth0"})
		},
		"RLIMIT_AS: a thread cannot have it": func(a *nri.ContainerAdjustment) { a.AddRlimit("RLIMIT_AS", 1<<20, 1<<20) },
		"linux.memoryPolicy":                 func(a *nri.ContainerAdjustment) { a.SetLinuxMemoryPolicy(nri.MpolMode_MPOL_BIND, "0") },
		"linux.intelRdt":                     func(a *nri.ContainerAdjustment) { a.SetLinuxRDTClass("class") },
		"a user namespace": func(a *nri.ContainerAdjustment) {
			a.AddOrReplaceNamespace(&nri.LinuxNamespace{Type: "user"})
		},
		`mount on "/data": option "rslave"`: func(a *nri.ContainerAdjustment) {
			a.AddMount(&nri.Mount{Type: "bind", Source: sharedDir(t), Destination: "/data", Options: []string{"rbind", "rslave"}})
		},
		`mount on "/data": type "ext4"`: func(a *nri.ContainerAdjustment) {
			a.AddMount(&nri.Mount{Type: "ext4", Source: "/dev/vda", Destination: "/data"})
		},
		`"/none.wasm": no such file in the container`: func(a *nri.ContainerAdjustment) { a.SetArgs([]string{"/none.wasm"}) },
	} {
		plugin.create = adjust
		p.expectRefused(t, tools(), want)
	}
}

// sharedDir is one from which mounts propagate, without which NRI refuses to ask.
func sharedDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	mountTmpfs(t, dir, unix.MS_SHARED)
	return dir
}

func TestNRISeccompPolicy(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	startPlugin(t, d, &nriPlugin{create: func(a *nri.ContainerAdjustment) {
		a.SetLinuxSeccompPolicy(&nri.LinuxSeccomp{
			DefaultAction: "SCMP_ACT_ALLOW",
			Syscalls:      []*nri.LinuxSyscall{{Names: []string{"openat"}, Action: "SCMP_ACT_ERRNO", ErrnoRet: nri.UInt32(uint32(unix.EACCES))}},
		})
	}})
	c := p.run(t, containerConfig("cat", "/etc/hosts"))
	c.expectExit(t, 1, "Error")
	if got := c.logs(t, "stderr"); !strings.Contains(got, "Permission denied") {
		t.Errorf("the guest says %q", got)
	}
}

// An update is changed on its way, and NRI updates a guest by itself.
func TestNRIUpdatesARunningGuest(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	plugin := startPlugin(t, d, &nriPlugin{update: func(id string, u *nri.ContainerUpdate) {
		u.SetContainerId(id)
		u.SetLinuxMemoryLimit(24 << 20)
		u.SetLinuxCPUShares(256)
		u.SetLinuxCPUQuota(40_000)
	}})
	config := tools()
	config.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: 64 << 20, CpuPeriod: 100_000, CpuQuota: 50_000, CpuShares: 1024}
	c := p.run(t, config)
	c.expectRoom(t, 64)
	if _, err := d.CRI().UpdateContainerResources(p.ctx, &criapi.UpdateContainerResourcesRequest{
		ContainerId: c.id, Linux: &criapi.LinuxContainerResources{MemoryLimitInBytes: 32 << 20, CpuPeriod: 100_000, CpuQuota: 60_000, CpuShares: 512},
	}); err != nil {
		t.Fatal(err)
	}
	c.expectRoom(t, 24)
	c.expectCPU(t, 256, 40_000)

	u := &nri.ContainerUpdate{}
	u.SetContainerId(c.id)
	u.SetLinuxMemoryLimit(48 << 20)
	u.SetLinuxCPUQuota(20_000)
	if failed, err := plugin.UpdateContainers([]*nri.ContainerUpdate{u}); err != nil || len(failed) > 0 {
		t.Errorf("an update by NRI: %v, %v", failed, err)
	}
	c.expectRoom(t, 48)
	c.expectCPU(t, 256, 20_000)
	u.SetLinuxMemoryLimit(1 << 10)
	if failed, err := plugin.UpdateContainers([]*nri.ContainerUpdate{u}); err == nil && len(failed) == 0 {
		t.Error("a limit below what the guest has is no error")
	}
	c.expectRoom(t, 48)
	c.stop(t, 0)
}

// A plugin learns of pods and guests as of others, also if it comes later.
func TestNRIEvents(t *testing.T) {
	d := shared(t)
	before := wasmPod(t, d, host)
	old := before.run(t, containerConfig("sleep"))
	name := func(c *container) string { return c.status(t).GetMetadata().GetName() }
	oldName := name(old)
	plugin := startPlugin(t, d, &nriPlugin{})
	for _, want := range []string{
		before.config.GetMetadata().GetName() + " " + daemon.Handler,
		fmt.Sprintf("%s CONTAINER_RUNNING %d", oldName, old.pid(t)),
	} {
		if !slices.Contains(plugin.known, want) {
			t.Errorf("no %q among %q", want, plugin.known)
		}
	}
	p := wasmPod(t, d, host)
	ends, runs := p.run(t, containerConfig("exit")), p.run(t, containerConfig("sleep"))
	ends.wait(t)
	endsName, runsName := name(ends), name(runs)
	created := []string{"CreateContainer", "PostCreateContainer", "StartContainer", "PostStartContainer"}
	plugin.expectEvents(t, endsName, append(slices.Clone(created), "StopContainer")...)
	plugin.expectEvents(t, runsName, created...)
	runs.stop(t, 0)
	plugin.expectEvents(t, runsName, append(slices.Clone(created), "StopContainer")...)
	runs.remove(t)
	plugin.expectEvents(t, runsName, append(slices.Clone(created), "StopContainer", "RemoveContainer")...)
	p.remove(t)
	plugin.expectEvents(t, p.config.GetMetadata().GetName(), "RunPodSandbox", "StopPodSandbox", "RemovePodSandbox")
	plugin.expectEvents(t, endsName, append(slices.Clone(created), "StopContainer", "RemoveContainer")...)
	old.stop(t, 0)
	plugin.expectEvents(t, oldName, "StopContainer")
}
