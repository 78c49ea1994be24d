// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3"
	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/api/services/tasks/v1"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// What a guest that is to die must not exceed. It takes milliseconds; package bench
// measures them.
var killLimit = patience.For(2 * time.Second)

func TestKill(t *testing.T) {
	for name, tc := range map[string]struct {
		job    job
		signal syscall.Signal
		code   int
	}{
		"busy, SIGKILL":     {job{image: "spin"}, syscall.SIGKILL, 137},
		"busy, SIGTERM":     {job{image: "spin"}, syscall.SIGTERM, 143},
		"busy, SIGINT":      {job{image: "spin"}, syscall.SIGINT, 130},
		"asleep, SIGKILL":   {job{image: "sleep"}, syscall.SIGKILL, 137},
		"asleep, SIGTERM":   {job{image: "sleep"}, syscall.SIGTERM, 143},
		"reading, SIGKILL":  {job{image: "echo", open: true}, syscall.SIGKILL, 137},
		"reading, SIGTERM":  {job{image: "echo", open: true}, syscall.SIGTERM, 143},
		"allocating memory": {job{image: "mem"}, syscall.SIGKILL, 137},
	} {
		t.Run(name, func(t *testing.T) {
			d := shared(t)
			b := start(t, d, tc.job)
			waitUntilBusy()
			begin := time.Now()
			b.kill(t, tc.signal)
			if code := b.wait(t); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if took := time.Since(begin); took > killLimit {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Signals that a program ignores unless it handles them do not end a guest.
func TestOtherSignals(t *testing.T) {
	b := start(t, shared(t), job{image: "sleep"})
	b.waitForOutput(t, "sleeping")
	for _, s := range []syscall.Signal{syscall.SIGCHLD, syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGURG} {
		b.kill(t, s)
	}
	waitUntilBusy()
	b.expectStatus(t, containerd.Running)
}

func (b *box) expectStatus(t *testing.T, want containerd.ProcessStatus) {
	t.Helper()
	if got, err := b.Task.Status(b.Ctx); err != nil || got.Status != want {
		t.Errorf("the task is %s (%v), want %s", got.Status, err, want)
	}
}

func TestTransitions(t *testing.T) {
	b := create(t, shared(t), job{image: "sleep"})
	b.expectStatus(t, containerd.Created)
	if err := b.Task.Start(b.Ctx); err != nil {
		t.Fatal(err)
	}
	b.waitForOutput(t, "sleeping")
	expectClass := func(what string, err error, is func(error) bool) {
		t.Helper()
		if !is(err) {
			t.Errorf("%s: the error is %v", what, err)
		}
	}
	expectClass("a second start", b.Task.Start(b.Ctx), errdefs.IsFailedPrecondition)
	_, err := b.Task.Delete(b.Ctx)
	expectClass("deleting a running task", err, errdefs.IsFailedPrecondition)
	_, err = b.NewTask(b.Ctx, cio.NullIO)
	expectClass("a second task", err, errdefs.IsAlreadyExists)
	expectClass("resuming a task that runs", b.Task.Resume(b.Ctx), errdefs.IsFailedPrecondition)
	if err := b.Task.Resize(b.Ctx, 80, 24); err != nil { // as with runc's shim
		t.Errorf("resizing what is no terminal: %v", err)
	}
	b.expectStatus(t, containerd.Running)

	// One that is held ends as well, and is then as any other.
	if err := b.Task.Pause(b.Ctx); err != nil {
		t.Error(err)
	}
	b.kill(t, syscall.SIGKILL)
	if err := b.Task.Kill(b.Ctx, syscall.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
		t.Errorf("a second kill: %v", err)
	}
	if code := b.wait(t); code != 137 {
		t.Errorf("exit code %d", code)
	}
	b.expectStatus(t, containerd.Stopped)
	expectClass("resuming a task that is over", b.Task.Resume(b.Ctx), errdefs.IsFailedPrecondition)
	// Whoever comes late is told the same.
	if code := b.wait(t); code != 137 {
		t.Errorf("exit code %d after the end", code)
	}
	expectClass("killing a task that is over", b.Task.Kill(b.Ctx, syscall.SIGKILL), errdefs.IsNotFound)
	expectClass("starting a task that is over", b.Task.Start(b.Ctx), errdefs.IsFailedPrecondition)
	task := b.Task
	b.delete(t)
	_, err = task.Delete(b.Ctx)
	expectClass("deleting a task twice", err, errdefs.IsNotFound)
}

func TestTaskThatIsNeverStarted(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *box){
		// The client library kills a created task before it deletes it; the API
		// itself does not ask for that.
		"deleted": func(t *testing.T, b *box) {
			r, err := b.Daemon.Client().TaskService().Delete(b.Ctx, &tasks.DeleteTaskRequest{ContainerID: b.ID()})
			if err != nil {
				t.Fatal(err)
			}
			if code := r.GetExitStatus(); code != 137 {
				t.Errorf("exit code %d", code)
			}
		},
		"killed": func(t *testing.T, b *box) {
			b.kill(t, syscall.SIGKILL)
			if code := b.wait(t); code != 137 {
				t.Errorf("exit code %d", code)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := create(t, shared(t), job{image: "spin"})
			end(t, b)
			if err := b.DeleteTask(); err != nil {
				t.Fatal(err)
			}
			if err := b.CreateTask(); err != nil {
				t.Errorf("the container cannot have another task: %v", err)
			}
		})
	}
}

func TestEvents(t *testing.T) {
	for name, tc := range map[string]struct {
		job  job
		then func(*testing.T, *box) // after the start
		want []string
	}{
		"pause": {job{image: "spin"}, pauseAndKill, []string{"create", "start", "paused", "resumed", "paused", "resumed", "paused", "exit 137", "delete 137"}},
		"exit":  {job{image: "exit", args: []string{"42"}}, nil, []string{"create", "start", "exit 42", "delete 42"}},
		"trap":  {job{image: "trap"}, nil, []string{"create", "start", "exit 134", "delete 134"}},
		"limit": {job{image: "mem", args: []string{"die"}, opts: []oci.SpecOpts{oci.WithMemoryLimit(16 << 20)}}, nil, []string{"create", "start", "oom", "exit 137", "delete 137"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := shared(t)
			b := prepare(t, d, tc.job)
			ctx, cancel := context.WithTimeout(b.Ctx, daemon.Patience)
			defer cancel()
			stream, errs := d.Client().Subscribe(ctx, fmt.Sprintf("namespace==%s,topic~=^/tasks/", d.Name))
			if err := b.CreateTask(); err != nil {
				t.Fatal(err)
			}
			pid := b.Task.Pid()
			if err := b.Task.Start(b.Ctx); err != nil {
				t.Fatal(err)
			}
			if tc.then != nil {
				tc.then(t, b)
			}
			b.wait(t)
			b.delete(t)
			var got []string
			for len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "delete") {
				select {
				case e := <-stream:
					event, err := typeurl.UnmarshalAny(e.Event)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, describe(t, event, b.ID(), pid))
				case err := <-errs:
					t.Fatalf("after %q: %v", got, err)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("events %q, want %q", got, tc.want)
			}
		})
	}
}

// pauseAndKill ends a guest that is paused, after it ran, was held and ran again.
func pauseAndKill(t *testing.T, b *box) {
	t.Helper()
	for range 2 {
		if err := b.Task.Pause(b.Ctx); err != nil {
			t.Fatal(err)
		}
		b.expectStatus(t, containerd.Paused)
		if err := b.Task.Pause(b.Ctx); !errdefs.IsFailedPrecondition(err) {
			t.Errorf("paused twice: %v", err)
		}
		if err := b.Task.Resume(b.Ctx); err != nil {
			t.Fatal(err)
		}
		b.expectStatus(t, containerd.Running)
	}
	if err := b.Task.Pause(b.Ctx); err != nil {
		t.Fatal(err)
	}
	b.kill(t, syscall.SIGKILL)
}

// describe checks the fields of an event and shortens it.
func describe(t *testing.T, event any, id string, pid uint32) string {
	t.Helper()
	check := func(name string, ok bool) {
		t.Helper()
		if !ok {
			t.Errorf("%s of %T: %+v", name, event, event)
		}
	}
	switch e := event.(type) {
	case *events.TaskCreate:
		check("fields", e.ContainerID == id && e.Pid == pid && e.IO.GetStdout() != "" && len(e.Rootfs) == 1)
		return "create"
	case *events.TaskStart:
		check("fields", e.ContainerID == id && e.Pid == pid)
		return "start"
	case *events.TaskExit:
		check("fields", e.ContainerID == id && e.ID == id && e.Pid == pid && time.Since(e.ExitedAt.AsTime()) < time.Minute)
		return fmt.Sprintf("exit %d", e.ExitStatus)
	case *events.TaskDelete:
		check("fields", e.ContainerID == id && e.Pid == pid && time.Since(e.ExitedAt.AsTime()) < time.Minute)
		return fmt.Sprintf("delete %d", e.ExitStatus)
	case *events.TaskPaused:
		check("fields", e.ContainerID == id)
		return "paused"
	case *events.TaskResumed:
		check("fields", e.ContainerID == id)
		return "resumed"
	case *events.TaskOOM:
		check("fields", e.ContainerID == id)
		return "oom"
	default:
		return fmt.Sprintf("%T", event)
	}
}

func TestPidsAndMetrics(t *testing.T) {
	d := shared(t)
	b := start(t, d, job{image: "spin", opts: []oci.SpecOpts{oci.WithMemoryLimit(64 << 20)}})
	pids, err := b.Task.Pids(b.Ctx)
	if err != nil || len(pids) != 1 || pids[0].Pid != b.Task.Pid() {
		t.Errorf("pids %v (%v), want %d", pids, err, b.Task.Pid())
	}
	if out := d.Ctr(t, "tasks", "ps", b.ID()); !strings.Contains(out.Stdout, fmt.Sprint(b.Task.Pid())) {
		t.Errorf("ctr tasks ps: %+v", out)
	}
	if out := d.Ctr(t, "tasks", "metrics", b.ID()); out.Code != 0 || !strings.Contains(out.Stdout, "memory") {
		t.Errorf("ctr tasks metrics: %+v", out)
	}
	daemon.Eventually(t, "10 ms of CPU time", func() error {
		cpu, memory, limit := usage(t, b)
		if cpu < 10*time.Millisecond {
			return fmt.Errorf("%v", cpu)
		}
		if memory == 0 || memory > 1<<20 || limit != 64<<20 {
			t.Errorf("memory %d, limit %d", memory, limit)
		}
		return nil
	})
}

// usage reads metrics of the type that the host's cgroup version has.
func usage(t *testing.T, b *box) (cpu time.Duration, memory, limit uint64) {
	t.Helper()
	metric, err := b.Task.Metrics(b.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	data, err := typeurl.UnmarshalAny(metric.Data)
	if err != nil {
		t.Fatal(err)
	}
	unified := cgroups.Mode() == cgroups.Unified
	switch m := data.(type) {
	case *v1.Metrics:
		if !unified {
			return time.Duration(m.CPU.Usage.Total), m.Memory.Usage.Usage, m.Memory.Usage.Limit
		}
	case *v2.Metrics:
		if unified {
			return time.Duration(m.CPU.UsageUsec) * time.Microsecond, m.Memory.Usage, m.Memory.UsageLimit
		}
	}
	t.Fatalf("metrics are a %T", data)
	return 0, 0, 0
}

func TestMemoryLimit(t *testing.T) {
	d := shared(t)
	limit := oci.WithMemoryLimit(8 << 20)
	out := run(t, d, job{image: "mem", opts: []oci.SpecOpts{limit}})
	var mib int
	if _, err := fmt.Sscanf(out.Stdout, "allocated %d MiB\n", &mib); err != nil || mib < 5 || mib > 7 || out.Code != 0 {
		t.Errorf("with 8 MiB: %+v", out)
	}
	out = run(t, d, job{image: "mem", args: []string{"die"}, opts: []oci.SpecOpts{limit}})
	if out.Code != 137 {
		t.Errorf("a guest that died of its limit: %+v", out)
	}
}
