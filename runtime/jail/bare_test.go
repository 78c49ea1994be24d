// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	contrib "github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/cgroup"
	"github.com/containerd-wasm/containerd-wasm/runtime/seccomp"
)

// bare is a program of testdata that makes threads with no jail: one for each byte that
// it reads.
type bare struct{ order, answer *os.File }

// newBare compiles and starts testdata/NAME.c.
func newBare(b *testing.B, name string, args ...string) *bare {
	b.Helper()
	program := filepath.Join(b.TempDir(), name)
	if out, err := exec.Command("cc", "-O2", "-o", program, "testdata/"+name+".c", "-lwasmedge").CombinedOutput(); err != nil {
		b.Fatalf("cc: %v: %s", err, out)
	}
	orderIn, order, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	answer, answerOut, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{orderIn, answerOut}, os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	orderIn.Close()
	answerOut.Close()
	b.Cleanup(func() {
		order.Close()
		answer.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	return &bare{order, answer}
}

// run has a thread made, and returns how long that took to its end.
func (p *bare) run(b *testing.B, order byte) time.Duration {
	b.Helper()
	if _, err := p.order.Write([]byte{order}); err != nil {
		b.Fatal(err)
	}
	var took uint64
	if err := binary.Read(p.answer, binary.NativeEndian, &took); err != nil {
		b.Fatal(err)
	}
	return time.Duration(took)
}

// BenchmarkCalls is what the kernel alone takes for what BenchmarkJail's "all but
// mounts" asks of it: the least that this isolation can cost.
func BenchmarkCalls(b *testing.B) {
	s := spec(b, "hello")
	restricted(b, s)
	profile := filepath.Join(b.TempDir(), "profile")
	if err := os.WriteFile(profile, s.Seccomp, 0o600); err != nil {
		b.Fatal(err)
	}
	p := newBare(b, "calls", s.Rootfs, s.NetNS, s.Cgroup, profile)
	var plain, confined []time.Duration
	for b.Loop() {
		plain = append(plain, p.run(b, 0))
		confined = append(confined, p.run(b, 1))
	}
	bare := report(b, "bare", plain)
	b.ReportMetric(report(b, "calls", confined)-bare, "more-p50-us")
}

// paired runs a guest and the same module on a bare thread, in turns, and returns how
// long each took.
func paired(b *testing.B, module string, s *Spec) (plain, jailed []time.Duration) {
	p := newBare(b, "bare", compiled(modulesDir, module))
	for b.Loop() {
		plain = append(plain, p.run(b, 0))
		begin := time.Now()
		if got := runOnce(b, s); got.Ending != Exited {
			b.Fatalf("ended with %+v", got)
		}
		jailed = append(jailed, time.Since(begin))
	}
	return plain, jailed
}

// BenchmarkSpeed is a guest that computes, beside the same on a bare thread: what
// makes a guest killable must cost it nothing. The ratio, the median of those of all
// pairs, is to be 1.00, 0.02 more or less.
func BenchmarkSpeed(b *testing.B) {
	plain, jailed := paired(b, "compute.wat", spec(b, "compute"))
	ratios := make([]float64, len(plain))
	for i := range plain {
		ratios[i] = float64(jailed[i]) / float64(plain[i])
	}
	slices.Sort(ratios)
	report(b, "bare", plain)
	report(b, "jail", jailed)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(1, "target-ratio")
}

// BenchmarkJail is a guest confined as a pod of Pod Security "restricted" with
// limits is, beside the same on a bare thread: start to exit. The median of "all but
// mounts" is to be 100 us more, at most. Its image has /proc and /sys, empty, as those of
// distributions; one from scratch has neither.
func BenchmarkJail(b *testing.B) {
	for _, bc := range []struct {
		name string
		full func(*testing.B, *Spec)
	}{
		{"own root and files", func(*testing.B, *Spec) {}},
		{"all but mounts, from scratch", restricted},
		{"all but mounts", func(b *testing.B, s *Spec) {
			directories(b, s, "/proc", "/sys")
			restricted(b, s)
		}},
		{"all but mounts, two paths to hide", func(b *testing.B, s *Spec) {
			directories(b, s, "/proc/sys", "/sys/firmware")
			restricted(b, s)
		}},
		{"all", func(b *testing.B, s *Spec) {
			directories(b, s, "/proc", "/sys")
			restricted(b, s)
			s.Mounts = fileMounts(b, 4)
		}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			s := spec(b, "hello")
			s.NewNetNS = false
			bc.full(b, s)
			plain, jailed := paired(b, "hello.wat", s)
			bare := report(b, "bare", plain)
			b.ReportMetric(report(b, "jail", jailed)-bare, "more-p50-us")
			b.ReportMetric(100, "target-more-us")
		})
	}
}

func directories(b *testing.B, s *Spec, paths ...string) {
	b.Helper()
	for _, path := range paths {
		if err := os.MkdirAll(s.Rootfs+path, 0o755); err != nil {
			b.Fatal(err)
		}
	}
}

// restricted adds what CRI makes of such a pod.
func restricted(b *testing.B, s *Spec) {
	b.Helper()
	defaults := oci.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}, Linux: &specs.Linux{}}
	profile, err := seccomp.Compile(contrib.DefaultProfile(&defaults))
	if err != nil {
		b.Fatal(err)
	}
	state := b.TempDir()
	root := cgroup.Open(b.Context(), state)
	shares, quota := uint64(512), int64(50_000)
	group, err := root.New(&specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares, Quota: &quota}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(group.Delete(), removeGroups(state)); err != nil {
			b.Error(err)
		}
	})
	s.NetNS = namedNetwork(b)
	s.Seccomp, s.Cgroup = profile, group.Join()
	s.UID, s.GID, s.Groups, s.Umask = 1000, 1000, []uint32{2000}, 0o022
	s.RootfsReadonly = true
	s.Masked = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
	}
	s.Readonly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
	s.MemoryLimit, s.InitialMemory, s.Overhead = 64<<20, PageSize, 128<<10
}

// removeGroups removes what cgroup.Open has made, when the last thread is gone from
// there. In the daemon it stays until the next start.
func removeGroups(state string) error {
	place, err := cgroup.Place(state)
	if err != nil {
		return err
	}
	groups, err := filepath.Glob(filepath.Join(place, "[0-9]*"))
	for _, dir := range append(groups, place) {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if gone := os.Remove(dir); gone == nil || time.Now().After(deadline) {
				err = errors.Join(err, gone)
				break
			}
		}
	}
	return err
}

// namedNetwork returns the path of a network namespace such as CNI's are: a bind mount.
func namedNetwork(b *testing.B) string {
	b.Helper()
	pod, err := New(b.Context(), &Spec{NewNetNS: true})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "netns")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", pod.TID()), path, "", unix.MS_BIND, ""); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			b.Error(err)
		}
	})
	pod.Kill()
	<-pod.Done()
	return path
}
