// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/oci"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// guestFile is a file of the guest's thread in procfs.
func guestFile(t *testing.T, b *box, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", b.Task.Pid(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func cpuTime(t *testing.T, b *box) time.Duration {
	t.Helper()
	ns, err := strconv.ParseInt(strings.Fields(guestFile(t, b, "schedstat"))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ns)
}

// group is the guest's group below that of all guests; "." is that one.
func group(t *testing.T, b *box, d *daemon.Daemon) string {
	t.Helper()
	place := filepath.Base(d.GuestCgroup())
	if place == "." {
		t.Fatal("the machine has no cgroups for CPU time")
	}
	for line := range strings.Lines(guestFile(t, b, "cgroup")) {
		if _, below, ok := strings.Cut(strings.TrimSpace(line)+"/", "/"+place+"/"); ok {
			return filepath.Clean(below)
		}
	}
	t.Fatalf("the guest is not below %s:\n%s", place, guestFile(t, b, "cgroup"))
	return ""
}

func TestCPUQuota(t *testing.T) {
	d := shared(t)
	b := start(t, d, job{image: "spin", opts: []oci.SpecOpts{oci.WithCPUCFS(20_000, 100_000)}})
	waitUntilBusy()
	begin, before := time.Now(), cpuTime(t, b)
	time.Sleep(time.Second)
	cpu, wall := cpuTime(t, b)-before, time.Since(begin)
	// A period that was under way at either end counts whole.
	if limit := wall/5 + 60*time.Millisecond; cpu > limit {
		t.Errorf("the guest had %v of CPU time in %v, more than %v", cpu, wall, limit)
	}
}

func TestCPUShares(t *testing.T) {
	d := shared(t)
	opts := func(shares uint64) []oci.SpecOpts {
		return []oci.SpecOpts{oci.WithCPUShares(shares), oci.WithCPUs("0")}
	}
	many, few := start(t, d, job{image: "spin", opts: opts(2048)}), start(t, d, job{image: "spin", opts: opts(2)})
	if allowed := guestFile(t, many, "status"); !strings.Contains(allowed, "\nCpus_allowed_list:\t0\n") {
		t.Errorf("the guest is not restricted to CPU 0:\n%s", allowed)
	}
	daemon.Eventually(t, "2048 shares to get more than 2", func() error {
		m, f := cpuTime(t, many), cpuTime(t, few)
		time.Sleep(time.Second)
		if m, f = cpuTime(t, many)-m, cpuTime(t, few)-f; m < 4*f || m == 0 {
			return fmt.Errorf("2048 shares got %v in a second, 2 shares %v", m, f)
		}
		return nil
	})
}

func TestGuestsAreInGroups(t *testing.T) {
	d := shared(t)
	before := d.Resources(t)
	plain, kubelets := start(t, d, job{image: "sleep"}), start(t, d, job{image: "sleep", opts: []oci.SpecOpts{oci.WithCPUShares(2)}})
	if got := group(t, plain, d); got != "." {
		t.Errorf("a guest that asks for nothing is in group %q", got)
	}
	if got := group(t, kubelets, d); got == "." {
		t.Errorf("a guest with shares is in group %q", got)
	}
	if left := strings.Join(d.Resources(t).Without(before), "\n"); !strings.Contains(left, "guest in a cgroup") {
		t.Errorf("the group is not among the daemon's resources:\n%s", left)
	}
}

// However many guests spin, the daemon answers, and an image becomes a guest in not much
// more time than without them: for all that has to be computed for it, to unpack it and to
// compile its module, the daemon has as much time as all of them together. If each of them
// were as a thread of the daemon's, that would take many times as long.
func TestDaemonBesideGuestsThatSpin(t *testing.T) {
	const guests, factor = 64, 10
	d := shared(t)
	alone := max(imageToGuest(t, d), imageToGuest(t, d))
	for range guests {
		start(t, d, job{image: "spin"})
	}
	waitUntilBusy()
	begin := time.Now()
	if _, err := d.Client().Version(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > patience.For(10*time.Second) {
		t.Errorf("a call of the API took %v", took)
	}
	beside := imageToGuest(t, d)
	t.Logf("from an image to a guest: %v alone, %v beside %d guests", alone, beside, guests)
	if beside > factor*alone {
		t.Errorf("from an image to a guest it took %v, and %v beside %d guests that spin", alone, beside, guests)
	}
}

// imageToGuest is how long it takes to import an image whose module is not compiled yet,
// to compile it and to run its guest.
func imageToGuest(t *testing.T, d *daemon.Daemon) time.Duration {
	t.Helper()
	module := compiledGuest(t, "env")
	const custom = 0
	name := newID() // makes it another module
	module = append(append(module, custom, byte(len(name)+1), byte(len(name))), name...)
	begin := time.Now()
	ref := importModule(t, d, module)
	if out := run(t, d, job{image: ref}); out.Code != 0 {
		t.Errorf("%+v", out)
	}
	return time.Since(begin)
}

func TestCPUValuesThatMakeNoSense(t *testing.T) {
	d := shared(t)
	for want, opt := range map[string]oci.SpecOpts{
		"cpu.shares 1":    oci.WithCPUShares(1),
		"cpu.quota -2":    oci.WithCPUCFS(-2, 100_000),
		"cpu.period 1":    oci.WithCPUCFS(20_000, 1),
		"cpu.burst 30000": oci.Compose(oci.WithCPUCFS(20_000, 100_000), oci.WithCPUBurst(30_000)),
		`cpu.cpus "0-"`:   oci.WithCPUs("0-"),
	} {
		expectRefusal(t, d, job{image: "exit", opts: []oci.SpecOpts{opt}}, want)
	}
}

func TestKilledDaemonsGroupsAreRemoved(t *testing.T) {
	d := daemon.Start(t)
	d.Import(t, images.Wasm("sleep"))
	for i := range 10 {
		startDetached(t, d, "sleep", fmt.Sprintf("s%d", i), "--cpu-shares", "2")
	}
	d.Kill(t)
	d.Restart(t)
	left, err := filepath.Glob(filepath.Join(d.GuestCgroup(), "*", "cpu.stat"))
	if err != nil || len(left) != 1 {
		t.Errorf("groups after the restart: %v, %v, want a spare", left, err)
	}
	sweep(t, d)
}

// A guest that may run for a thousandth of the time still ends at once. On a busy machine
// one of several does so before it would have more time anyway.
func TestThrottledGuestIsKilled(t *testing.T) {
	d := shared(t)
	best := time.Hour
	for range 5 {
		best = min(best, killThrottled(t, d))
	}
	if best > 700*time.Millisecond {
		t.Errorf("their ends took %v and more", best)
	}
}

func killThrottled(t *testing.T, d *daemon.Daemon) time.Duration {
	t.Helper()
	b := start(t, d, job{image: "spin", opts: []oci.SpecOpts{oci.WithCPUCFS(1_000, 1_000_000), oci.WithCPUShares(2)}})
	waitUntilBusy()
	before := cpuTime(t, b)
	daemon.Eventually(t, "its time of the next second", func() error {
		if cpuTime(t, b) == before {
			return errors.New("it has none yet")
		}
		return nil
	})
	begin := time.Now() // at least 0.9 s before there is more
	b.kill(t, syscall.SIGKILL)
	if code := b.wait(t); code != 137 {
		t.Errorf("code %d, want 137", code)
	}
	return time.Since(begin)
}
