// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/kernel"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// An exec sees what the container sees now, also in a tmpfs.
func TestExecSeesTheContainersFiles(t *testing.T) {
	volume := t.TempDir()
	mounts := oci.WithMounts([]specs.Mount{
		{Type: "tmpfs", Destination: "/scratch"},
		{Type: "bind", Source: volume, Destination: "/volume", Options: []string{"rbind", "rw"}},
		{Type: "bind", Source: volume, Destination: "/readonly", Options: []string{"rbind", "ro"}},
	})
	d := shared(t)
	b := sleeper(t, d, mounts)
	for _, file := range []string{"/file", "/scratch/file", "/volume/file"} {
		expect(t, b.exec(t, command("/write.wasm", file, "in "+file), nil).wait(t), 0, "")
		expect(t, b.exec(t, command("/cat.wasm", file), nil).wait(t), 0, "in "+file)
	}
	expect(t, b.exec(t, command("/cat.wasm", "/readonly/file"), nil).wait(t), 0, "in /volume/file")
	expect(t, b.exec(t, command("/write.wasm", "/readonly/file", "x"), nil).wait(t), 1, "")
	// A module that came later, on a file system that only the guests see.
	program, err := images.Compile(t.Context(), images.Wasm("exit"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, fmt.Sprintf("/proc/%d/task/%d/root/scratch/late.wasm", d.PID(), b.Task.Pid()), program)
	expect(t, b.exec(t, command("/scratch/late.wasm", "9"), nil).wait(t), 9, "")
}

// The root was mounted for a moment only, when the container was made.
func TestExecInAMountedRoot(t *testing.T) {
	d := shared(t)
	id := newID()
	expect(t, d.Ctr(t, "run", "--detach", "--null-io", "--runtime", daemon.Runtime, "--snapshotter", "overlayfs", toolsImage, id), 0, "")
	defer func() {
		d.Ctr(t, "tasks", "rm", "--force", id)
		d.Ctr(t, "containers", "rm", id)
	}()
	for i, tc := range []struct {
		args   []string
		stdout string
	}{
		{[]string{"/write.wasm", "/file", "text"}, ""},
		{[]string{"/cat.wasm", "/file"}, "text"},
	} {
		args := []string{"tasks", "exec", "--fifo-dir", d.FIFODir(), "--exec-id", fmt.Sprint("e", i), id}
		expect(t, d.Ctr(t, append(args, tc.args...)...), 0, tc.stdout)
	}
	if mounts := d.Mounts(); slices.ContainsFunc(mounts, func(m string) bool { return strings.Contains(m, id) }) {
		t.Errorf("it is still mounted: %q", mounts)
	}
}

func TestExecIsConfinedAsTheContainer(t *testing.T) {
	b := sleeper(t, shared(t), oci.WithRootFSReadonly())
	p := command("/sleep.wasm")
	p.User.UID, p.User.GID = 1000, 2000
	e := b.exec(t, p, nil)
	dir := fmt.Sprintf("/proc/%d/task", b.Daemon.PID())
	for _, ns := range []string{"mnt", "net"} {
		own, of := readLink(t, fmt.Sprintf("%s/%d/ns/%s", dir, b.Task.Pid(), ns)), readLink(t, fmt.Sprintf("%s/%d/ns/%s", dir, e.Pid(), ns))
		if own != of {
			t.Errorf("%s: %s and %s", ns, own, of)
		}
	}
	status := readFile(t, fmt.Sprintf("%s/%d/status", dir, e.Pid()))
	for _, want := range []string{"Uid:\t" + strings.ReplaceAll(daemon.UIDs("1000"), " ", "\t"), "Gid:\t2000\t2000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	expect(t, b.exec(t, command("/write.wasm", "/new", "x"), nil).wait(t), 1, "")
	p = command("/exit.wasm")
	p.SelinuxLabel = "a:b:c:d"
	if _, err := b.addExec(t, p, nil); !errdefs.IsNotImplemented(err) {
		t.Errorf("with an SELinux label: %v", err)
	}
}

// A client's request for an exec names no profile.
func TestExecHasTheContainersAppArmorProfile(t *testing.T) {
	d := shared(t)
	const profile = "containerd-wasm-test-exec"
	opt := oci.WithApparmorProfile(profile)
	if !kernel.LoadProfile(t, profile, "file,\nnetwork,\ncapability,\nsignal (receive) peer=unconfined,\n") {
		expectRefusal(t, d, job{image: toolsImage, opts: []oci.SpecOpts{opt}}, "AppArmor is not enabled in this kernel")
		return
	}
	b := sleeper(t, d, opt)
	e := b.exec(t, command("/sleep.wasm"), nil)
	for what, tid := range map[string]uint32{"the container": b.Task.Pid(), "the exec": e.Pid()} {
		got := readFile(t, fmt.Sprintf("/proc/%d/task/%d/attr/apparmor/current", d.PID(), tid))
		if got != profile+" (enforce)\n" {
			t.Errorf("%s has profile %q", what, got)
		}
	}
}

// The module is the one of all containers of the image.
func TestExecCannotChangeSharedModules(t *testing.T) {
	d := shared(t)
	b := sleeper(t, d, oci.WithUIDGID(1000, 1000))
	p := command("/write.wasm", "/sleep.wasm", "x")
	p.Capabilities = &specs.LinuxCapabilities{Effective: []string{"CAP_DAC_OVERRIDE", "CAP_FOWNER"}}
	expect(t, b.exec(t, p, nil).wait(t), 1, "")
	other := sleeper(t, d)
	p = command("/write.wasm", "/sleep.wasm", "x")
	p.Capabilities = &specs.LinuxCapabilities{Effective: []string{"CAP_DAC_OVERRIDE", "CAP_FOWNER"}}
	expect(t, other.exec(t, p, nil).wait(t), 1, "")
}

// The container's limit is for all together, and so are its metrics.
func TestExecSharesLimits(t *testing.T) {
	b := sleeper(t, shared(t), oci.WithMemoryLimit(16<<20))
	var mib int
	out := b.exec(t, command("/mem.wasm"), nil).wait(t)
	if _, err := fmt.Sscanf(out.Stdout, "allocated %d MiB\n", &mib); err != nil || mib < 12 || mib > 15 {
		t.Errorf("with 16 MiB: %+v", out)
	}
	// What ended gave it back.
	if again := b.exec(t, command("/mem.wasm"), nil).wait(t); again != out {
		t.Errorf("the second time: %+v", again)
	}
	if out := b.exec(t, command("/mem.wasm", "die"), nil).wait(t); out.Code != 137 {
		t.Errorf("one that died of the limit: %+v", out)
	}
	before, _, _ := usage(t, b)
	e := b.exec(t, command("/spin.wasm"), nil)
	daemon.Eventually(t, "10 ms of CPU time", func() error {
		cpu, memory, limit := usage(t, b)
		if cpu < before+10*time.Millisecond {
			return fmt.Errorf("%v", cpu-before)
		}
		if memory == 0 || limit != 16<<20 {
			t.Errorf("memory %d, limit %d", memory, limit)
		}
		return nil
	})
	if err := e.Kill(b.Ctx, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	e.wait(t)
	running, _, _ := usage(t, b)
	if _, err := e.Delete(b.Ctx); err != nil {
		t.Error(err)
	}
	if cpu, _, _ := usage(t, b); cpu < running {
		t.Errorf("CPU time went back from %v to %v", running, cpu)
	}
}

func TestPauseHoldsExecs(t *testing.T) {
	b := sleeper(t, shared(t))
	e := b.exec(t, command("/spin.wasm"), nil)
	created, err := b.addExec(t, command("/exit.wasm"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Task.Pause(b.Ctx); err != nil {
		t.Fatal(err)
	}
	e.expectStatus(t, containerd.Paused)
	if _, err := b.addExec(t, command("/exit.wasm"), nil); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("an exec in a paused task: %v", err)
	}
	if err := created.Start(b.Ctx); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("starting one there: %v", err)
	}
	before, _, _ := usage(t, b)
	time.Sleep(50 * time.Millisecond)
	if after, _, _ := usage(t, b); after != before {
		t.Errorf("paused guests ran for %v", after-before)
	}
	if err := b.Task.Resume(b.Ctx); err != nil {
		t.Fatal(err)
	}
	e.expectStatus(t, containerd.Running)
	if err := created.Start(b.Ctx); err != nil {
		t.Errorf("starting one after that: %v", err)
	}
	created.wait(t)
	if err := b.Task.Pause(b.Ctx); err != nil {
		t.Fatal(err)
	}
	if err := e.Kill(b.Ctx, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	expect(t, e.wait(t), 137, "")
}

func TestManyExecs(t *testing.T) {
	b := sleeper(t, shared(t))
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			e, err := b.addExec(t, command("/exit.wasm", fmt.Sprint(i)), nil)
			if err == nil {
				err = e.Start(b.Ctx)
			}
			if err != nil {
				t.Error(err)
				return
			}
			expect(t, e.wait(t), i, "")
		})
	}
	wg.Wait()
	b.expectStatus(t, containerd.Running)
}

// Whenever a container ends, its execs end, are refused, or never were.
func TestExecsWhileTheContainerEnds(t *testing.T) {
	d := shared(t)
	for i := range 20 {
		b := start(t, d, job{image: toolsImage})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					p, err := b.Task.Exec(b.Ctx, newID(), command("/spin.wasm"), cio.NullIO)
					if err == nil {
						err = p.Start(b.Ctx)
					}
					if err != nil {
						if !errdefs.IsFailedPrecondition(err) && !errdefs.IsAborted(err) {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		time.Sleep(time.Duration(i) * time.Millisecond)
		b.kill(t, syscall.SIGKILL)
		if code := b.wait(t); code != 137 {
			t.Errorf("exit code %d", code)
		}
		wg.Wait()
		b.remove(t)
	}
}

// An exec that has to end gets a turn, and the container no more than its quota.
func TestExecInAThrottledContainer(t *testing.T) {
	d := shared(t)
	b := start(t, d, job{image: toolsImage, args: []string{"3600"}, opts: []oci.SpecOpts{oci.WithCPUCFS(5000, 1000000)}})
	e := b.exec(t, command("/spin.wasm"), nil)
	time.Sleep(50 * time.Millisecond)
	begin := time.Now()
	if err := e.Kill(b.Ctx, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expect(t, e.wait(t), 137, "")
	if took := time.Since(begin); took > patience.For(500*time.Millisecond) {
		t.Errorf("its end took %v", took)
	}
	e = b.exec(t, command("/spin.wasm"), nil)
	before, _, _ := usage(t, b)
	time.Sleep(500 * time.Millisecond)
	if after, _, _ := usage(t, b); after-before > 100*time.Millisecond {
		t.Errorf("after that, the container had %v in half a second", after-before)
	}
	if err := e.Kill(b.Ctx, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e.wait(t)
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readLink(t testing.TB, path string) string {
	t.Helper()
	target, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func writeFile(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
