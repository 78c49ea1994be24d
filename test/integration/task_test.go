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
	"github.com/opencontainers/runtime-spec/specs-go"

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
	if got, err := b.task.Status(b.ctx); err != nil || got.Status != want {
		t.Errorf("the task is %s (%v), want %s", got.Status, err, want)
	}
}

func TestTransitions(t *testing.T) {
	b := create(t, shared(t), job{image: "sleep"})
	b.expectStatus(t, containerd.Created)
	if err := b.task.Start(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.waitForOutput(t, "sleeping")
	expectClass := func(what string, err error, is func(error) bool) {
		t.Helper()
		if !is(err) {
			t.Errorf("%s: the error is %v", what, err)
		}
	}
	expectClass("a second start", b.task.Start(b.ctx), errdefs.IsFailedPrecondition)
	_, err := b.task.Delete(b.ctx)
	expectClass("deleting a running task", err, errdefs.IsFailedPrecondition)
	_, err = b.NewTask(b.ctx, cio.NullIO)
	expectClass("a second task", err, errdefs.IsAlreadyExists)
	expectClass("pause", b.task.Pause(b.ctx), errdefs.IsNotImplemented)
	expectClass("resume", b.task.Resume(b.ctx), errdefs.IsNotImplemented)
	expectClass("resize", b.task.Resize(b.ctx, 80, 24), errdefs.IsNotImplemented)
	_, err = b.task.Exec(b.ctx, "exec", &specs.Process{Args: []string{"/sleep.wasm"}, Cwd: "/"}, cio.NullIO)
	expectClass("exec", err, errdefs.IsNotImplemented)
	b.expectStatus(t, containerd.Running)

	b.kill(t, syscall.SIGKILL)
	if err := b.task.Kill(b.ctx, syscall.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
		t.Errorf("a second kill: %v", err)
	}
	if code := b.wait(t); code != 137 {
		t.Errorf("exit code %d", code)
	}
	b.expectStatus(t, containerd.Stopped)
	// Whoever comes late is told the same.
	if code := b.wait(t); code != 137 {
		t.Errorf("exit code %d after the end", code)
	}
	expectClass("killing a task that is over", b.task.Kill(b.ctx, syscall.SIGKILL), errdefs.IsNotFound)
	expectClass("starting a task that is over", b.task.Start(b.ctx), errdefs.IsFailedPrecondition)
	task := b.task
	b.delete(t)
	_, err = task.Delete(b.ctx)
	expectClass("deleting a task twice", err, errdefs.IsNotFound)
}

func TestTaskThatIsNeverStarted(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *box){
		// The client library kills a created task before it deletes it; the API
		// itself does not ask for that.
		"deleted": func(t *testing.T, b *box) {
			if _, err := b.client.TaskService().Delete(b.ctx, &tasks.DeleteTaskRequest{ContainerID: b.ID()}); err != nil {
				t.Fatal(err)
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
			if _, err := b.task.Delete(b.ctx); err != nil && !errdefs.IsNotFound(err) {
				t.Fatal(err)
			}
			if err := b.createTask(job{}); err != nil {
				t.Errorf("the container cannot have another task: %v", err)
			}
		})
	}
}

func TestEvents(t *testing.T) {
	for name, tc := range map[string]struct {
		job  job
		want []string
	}{
		"exit":  {job{image: "exit", args: []string{"42"}}, []string{"create", "start", "exit 42", "delete 42"}},
		"trap":  {job{image: "trap"}, []string{"create", "start", "exit 134", "delete 134"}},
		"limit": {job{image: "mem", args: []string{"die"}, opts: []oci.SpecOpts{oci.WithMemoryLimit(16 << 20)}}, []string{"create", "start", "oom", "exit 137", "delete 137"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := shared(t)
			b := prepare(t, d, tc.job)
			ctx, cancel := context.WithTimeout(b.ctx, daemon.Patience)
			defer cancel()
			stream, errs := d.Client().Subscribe(ctx, fmt.Sprintf("namespace==%s,topic~=^/tasks/", d.Name))
			if err := b.createTask(tc.job); err != nil {
				t.Fatal(err)
			}
			pid := b.task.Pid()
			if err := b.task.Start(b.ctx); err != nil {
				t.Fatal(err)
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
	pids, err := b.task.Pids(b.ctx)
	if err != nil || len(pids) != 1 || pids[0].Pid != b.task.Pid() {
		t.Errorf("pids %v (%v), want %d", pids, err, b.task.Pid())
	}
	if out := d.Ctr(t, "tasks", "ps", b.ID()); !strings.Contains(out.Stdout, fmt.Sprint(b.task.Pid())) {
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
	metric, err := b.task.Metrics(b.ctx)
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
