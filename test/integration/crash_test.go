// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

func TestKilledDaemonLeavesNoTasks(t *testing.T) {
	d := daemon.Start(t)
	d.Import(t, images.Wasm("sleep"), images.Wasm("spin"), images.Wasm("exit"))
	run(t, d, job{image: "exit"})
	before := d.Resources(t)
	ctx := namespaces.WithNamespace(t.Context(), d.Name)
	for i := range 3 {
		for _, image := range []string{"sleep", "spin", "exit"} {
			startDetached(t, d, image, fmt.Sprintf("%s%d", image, i))
		}
	}
	d.Kill(t)
	d.Restart(t)
	containers, err := d.Client().Containers(ctx)
	if err != nil || len(containers) != 9 {
		t.Fatalf("%d containers after the restart (%v), want 9", len(containers), err)
	}
	for _, c := range containers {
		if _, err := c.Task(ctx, nil); !errdefs.IsNotFound(err) {
			t.Errorf("the task of %s: %v, want not found", c.ID(), err)
		}
		if err := c.Delete(ctx, containerd.WithSnapshotCleanup); err != nil {
			t.Error(err)
		}
	}
	removeFIFOs(t, d)
	d.CheckLeaks(t, before)
	run(t, d, job{image: "exit"})
}

// startDetached starts a container that the test does not clean up.
func startDetached(t *testing.T, d *daemon.Daemon, image, id string, flags ...string) {
	t.Helper()
	args := append(d.RunArgs(append(flags, "--detach", "--null-io")...), images.Wasm(image).Ref, id)
	args = slices.DeleteFunc(args, func(a string) bool { return a == "--rm" }) // not with --detach
	if out := d.Ctr(t, args...); out.Code != 0 {
		t.Fatalf("starting %s: %s", id, out.Stderr)
	}
}

// removeFIFOs does what the clients do that made them, unless their daemon dies.
func removeFIFOs(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	dir := filepath.Join(d.Dir, "fifo")
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o711)); err != nil {
		t.Fatal(err)
	}
}

// sweep deletes what clients leave when their daemon dies on them: containers, and
// the leases of those that were being made.
func sweep(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	ctx := namespaces.WithNamespace(context.WithoutCancel(t.Context()), d.Name)
	containers, err := d.Client().Containers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers {
		if err := c.Delete(ctx, containerd.WithSnapshotCleanup); err != nil {
			t.Errorf("deleting %s: %v", c.ID(), err)
		}
	}
	all, err := d.Client().LeasesService().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if strings.HasPrefix(l.ID, "containerd-wasm-") {
			continue // the daemon's own, which compiles what it did not get to
		}
		if err := d.Client().LeasesService().Delete(ctx, l, leases.SynchronousDelete); err != nil {
			t.Error(err)
		}
	}
	removeFIFOs(t, d)
}

func TestDaemonKilledWhileItCompiles(t *testing.T) {
	d := daemon.Start(t, daemon.WithTOML(notOptimized))
	spec := images.Wasm("hello-go") // takes seconds
	d.Import(t, spec)
	before := d.Resources(t)
	var wg sync.WaitGroup
	wg.Go(func() { d.Ctr(t, append(d.RunArgs(), spec.Ref, newID())...) })
	daemon.Eventually(t, "the compiler to run", func() error {
		if len(d.Children()) == 0 {
			return errors.New("no child process")
		}
		return nil
	})
	time.Sleep(100 * time.Millisecond)
	d.Kill(t)
	wg.Wait()
	if all := d.Processes(); len(all) > 0 {
		time.Sleep(time.Second)
		if all = d.Processes(); len(all) > 0 {
			t.Errorf("the compiler outlives the daemon: %v", all)
		}
	}
	d.Restart(t)
	sweep(t, d)
	awaitTier(t, d, d.Name, "O0") // nobody has to ask for it
	d.CheckLeaks(t, before)
	if left, _ := filepath.Glob(filepath.Join(d.Root, "io.containerd.wasm.v1.engine", "tmp-*")); len(left) > 0 {
		t.Errorf("the compiler's files are still there: %q", left)
	}
	out := d.Ctr(t, append(d.RunArgs(), spec.Ref, "again")...)
	if out.Code != 0 {
		t.Errorf("the module does not run after the restart: %+v", out)
	}
}

// Kills the daemon in the middle of whatever creating, starting and deleting is.
func TestDaemonKilledAtAnyTime(t *testing.T) {
	d := daemon.Start(t)
	d.Import(t, images.Wasm("exit"))
	// Opens the snapshotters' databases, which stay open.
	for _, snapshotter := range []string{daemon.Snapshotter, "overlayfs"} {
		args := d.RunArgs("--snapshotter", snapshotter)
		expect(t, d.Ctr(t, append(args, images.Wasm("exit").Ref, newID())...), 0, "")
	}
	before := d.Resources(t)
	for round := range 8 {
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := 0; d.Alive(); n++ {
					flags := []string{"--null-io"}
					if n%2 == 1 {
						flags = append(flags, "--snapshotter", "overlayfs")
					}
					d.Ctr(t, append(d.RunArgs(flags...), images.Wasm("exit").Ref, fmt.Sprintf("k%d-%d-%d", round, i, n))...)
				}
			})
		}
		time.Sleep(time.Duration(60+23*round) * time.Millisecond)
		d.Kill(t)
		wg.Wait()
		d.Restart(t)
		sweep(t, d)
		if t.Failed() {
			return
		}
	}
	d.CheckLeaks(t, before)
	run(t, d, job{image: "exit"})
}
