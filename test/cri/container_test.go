// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

func TestExitCodes(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	for name, tc := range map[string]struct {
		image  string
		arg    string
		code   int32
		reason string
	}{
		"success": {"exit", "0", 0, "Completed"},
		"failure": {"exit", "1", 1, "Error"},
		"code":    {"exit", "42", 42, "Error"},
		"trap":    {"trap", "", 134, "Error"},
	} {
		t.Run(name, func(t *testing.T) {
			c := p.run(t, containerConfig(tc.image, tc.arg))
			c.expectExit(t, tc.code, tc.reason)
			if s := c.status(t); s.GetStartedAt() < s.GetCreatedAt() || s.GetFinishedAt() < s.GetStartedAt() {
				t.Errorf("times %v, %v, %v", s.GetCreatedAt(), s.GetStartedAt(), s.GetFinishedAt())
			}
		})
	}
}

func TestWhatAContainerSees(t *testing.T) {
	d := shared(t)
	podConfig := podConfig(t, d, own)
	podConfig.Hostname = "a-name"
	podConfig.DnsConfig = &criapi.DNSConfig{Servers: []string{"10.0.0.10"}, Searches: []string{"test.svc", "svc"}, Options: []string{"ndots:5"}}
	p := runPod(t, d, podConfig, daemon.Handler)

	config := containerConfig("env", "one", "two words")
	config.Envs = []*criapi.KeyValue{{Key: "A", Value: []byte("1")}, {Key: "B", Value: []byte("x y")}}
	config.WorkingDir = "/some/where"
	c := p.run(t, config)
	c.expectExit(t, 0, "Completed")
	lines := strings.Split(c.logs(t, "stdout"), "\n")
	for _, want := range []string{"arg /env.wasm", "arg one", "arg two words", "env A=1", "env B=x y", "env PWD=/some/where", "env HOSTNAME=a-name"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %q among %q", want, lines)
		}
	}
	for file, want := range map[string]string{
		"/etc/resolv.conf": "search test.svc svc\nnameserver 10.0.0.10\noptions ndots:5\n",
		"/etc/hostname":    "a-name\n",
		"/etc/hosts":       "localhost",
	} {
		c := p.run(t, containerConfig("cat", file))
		c.expectExit(t, 0, "Completed")
		if got := c.logs(t, "stdout"); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
}

func TestReadOnlyRoot(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	config := containerConfig("write", "/file", "text")
	config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{ReadonlyRootfs: true}
	p.run(t, config).expectExit(t, 1, "Error")
	config.Metadata.Name += "-writable"
	config.Linux.SecurityContext.ReadonlyRootfs = false
	p.run(t, config).expectExit(t, 0, "Completed")
}

// CRI refuses a recursive read-only mount unless it knows that the runtime has them.
func TestRecursiveReadOnlyMount(t *testing.T) {
	d := shared(t)
	volume := t.TempDir()
	below := filepath.Join(volume, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", below, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(below, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p := wasmPod(t, d, host)
	for recursive, code := range map[bool]int32{true: 1, false: 0} {
		config := containerConfig("write", "/volume/below/file", "text")
		config.Metadata.Name = fmt.Sprintf("recursive-%t", recursive)
		config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/volume", Readonly: true, RecursiveReadOnly: recursive}}
		reason := map[int32]string{0: "Completed", 1: "Error"}[code]
		p.run(t, config).expectExit(t, code, reason)
	}
}

func TestMemoryLimitIsReportedAsOOM(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	config := containerConfig("mem", "die")
	config.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: 16 << 20}
	p.run(t, config).expectExit(t, 137, "OOMKilled")
}

// Guests cannot catch SIGTERM, so that there is nothing to wait for.
func TestStopIsImmediate(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	for _, image := range []string{"spin", "sleep"} {
		c := p.run(t, containerConfig(image))
		begin := time.Now()
		c.stop(t, 30)
		if took := time.Since(begin); took > patience.For(2*time.Second) {
			t.Errorf("%s took %v", image, took)
		}
		c.expectExit(t, 143, "Error")
		c.stop(t, 30)
	}
}

func TestRemoveInEveryState(t *testing.T) {
	d := shared(t)
	for name, prepare := range map[string]func(*testing.T, *pod) *container{
		"created": func(t *testing.T, p *pod) *container { return p.create(t, containerConfig("sleep")) },
		"running": func(t *testing.T, p *pod) *container { return p.run(t, containerConfig("spin")) },
		"exited": func(t *testing.T, p *pod) *container {
			c := p.run(t, containerConfig("exit"))
			c.wait(t)
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := wasmPod(t, d, own)
			c := prepare(t, p)
			c.remove(t)
			c.remove(t) // what is gone already is no error
			c = prepare(t, p)
			p.remove(t) // with all that is in it
			p.remove(t)
			if _, err := d.CRI().ContainerStatus(t.Context(), &criapi.ContainerStatusRequest{ContainerId: c.id}); err == nil {
				t.Error("the container outlived its pod")
			}
		})
	}
}

func TestStoppedPodIsNotReady(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, own)
	c := p.run(t, containerConfig("sleep"))
	p.stop(t)
	p.expectState(t, criapi.PodSandboxState_SANDBOX_NOTREADY)
	c.expectExit(t, 137, "Error") // as upstream: a pod is stopped by force
	p.stop(t)
}

func TestResourcesOfARunningContainer(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	config := containerConfig("sleep")
	config.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: 16 << 20, CpuPeriod: 100_000, CpuQuota: 50_000}
	c := p.run(t, config)
	update := func(r *criapi.LinuxContainerResources) error {
		_, err := d.CRI().UpdateContainerResources(p.ctx, &criapi.UpdateContainerResourcesRequest{ContainerId: c.id, Linux: r})
		return err
	}
	if err := update(&criapi.LinuxContainerResources{MemoryLimitInBytes: 32 << 20, CpuPeriod: 100_000, CpuQuota: 20_000}); err != nil {
		t.Fatal(err)
	}
	got := c.status(t).GetResources().GetLinux()
	if got.GetMemoryLimitInBytes() != 32<<20 || got.GetCpuQuota() != 20_000 {
		t.Errorf("the container has %v", got)
	}
	if err := update(&criapi.LinuxContainerResources{MemoryLimitInBytes: 1 << 10}); err == nil || !strings.Contains(err.Error(), "is less than what the container has") {
		t.Errorf("less memory than it has: %v", err)
	}
	if err := update(&criapi.LinuxContainerResources{CpuPeriod: 1, CpuQuota: 20_000}); err == nil || !strings.Contains(err.Error(), "linux.resources.cpu.period 1") {
		t.Errorf("a period that the kernel does not have: %v", err)
	}
	c.stop(t, 0)
}
