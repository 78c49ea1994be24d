// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// action is one thing that clients do. It cleans up after itself, and an error is
// whatever did not go as it should.
type action struct {
	name   string
	weight int // how often, compared to others
	do     func(*client) error
}

// actions are everything that clients do.
var actions = []action{
	{"runs to its end", 10, runsToItsEnd},
	{"traps", 10, endsByATrap},
	{"is killed at any moment", 20, isKilledAtAnyMoment},
	{"is killed before its start", 5, isKilledBeforeItsStart},
	{"is killed while it starts", 10, isKilledWhileItStarts},
	{"is never started", 5, isNeverStarted},
	{"is paused and goes on", 8, isPausedAndGoesOn},
	{"is paused and killed", 8, isPausedAndKilled},
	{"has execs", 8, hasExecs},
	{"runs out of memory", 4, runsOutOfMemory},
	{"reads its input", 8, readsItsInput},
	{"has a quota and is killed", 4, hasAQuotaAndIsKilled},
	{"takes what it can get", 2, takesWhatItCanGet},
	{"is deleted while it runs", 5, isDeletedWhileItRuns},
	{"is done twice", 5, isDoneTwice},
	{"is measured while it ends", 6, isMeasuredWhileItEnds},
	{"is refused", 5, isRefused},
	{"loses its client", 8, losesItsClient},
	{"client connects again", 2, (*client).connectAgain},
	{"pod runs a container", 5, podRunsAContainer},
	{"pod is stopped", 4, podIsStopped},
	{"pod is never used", 2, podIsNeverUsed},
	{"everything is listed", 3, everythingIsListed},
	{"Go faults", 20, func(c *client) error { return faultOnce(c.ctx, c.conn) }},
}

func choose(r *rand.Rand) *action {
	sum := 0
	for _, a := range actions {
		sum += a.weight
	}
	n := r.IntN(sum)
	for i := range actions {
		if n -= actions[i].weight; n < 0 {
			return &actions[i]
		}
	}
	panic("unreachable")
}

// endless are guests that only a signal ends: in a loop, in a host call that blocks,
// in and out of host calls.
var endless = []string{"spin", "sleep", "tick"}

// longest is how long guests run before they are disturbed.
const longest = 20 * time.Millisecond

func runsToItsEnd(c *client) error {
	if c.IntN(2) == 0 {
		code := c.IntN(256)
		job := daemon.Job{Image: images.Wasm("exit").Ref, Args: []string{fmt.Sprint(code)}}
		return c.started(job, func(x *daemon.Container) error { return expectEnd(x, code) })
	}
	return c.started(daemon.Job{Image: images.Wasm("hello-c").Ref}, func(x *daemon.Container) error {
		if err := expectEnd(x, 0); err != nil {
			return err
		}
		if got := x.Stdout.String(); got != "hello from C\n" {
			return fmt.Errorf("output %q", got)
		}
		return nil
	})
}

func endsByATrap(c *client) error {
	return c.started(daemon.Job{Image: traps[c.IntN(len(traps))]}, func(x *daemon.Container) error {
		return expectEnd(x, trapped)
	})
}

func isKilledAtAnyMoment(c *client) error {
	job := daemon.Job{Image: c.oneOf(endless...), Unread: c.IntN(4) == 0}
	if c.IntN(4) == 0 {
		job = daemon.Job{Image: images.Wasm("echo").Ref, Open: true}
	}
	return c.started(job, func(x *daemon.Container) error {
		c.pause(longest)
		return c.kill(x)
	})
}

func isKilledBeforeItsStart(c *client) error {
	return c.with(daemon.Job{Image: c.oneOf(endless...)}, func(x *daemon.Container) error {
		if err := c.kill(x); err != nil {
			return err
		}
		return expectClass("starting it then", x.Task.Start(x.Ctx), errdefs.IsFailedPrecondition)
	})
}

func isKilledWhileItStarts(c *client) error {
	return c.with(daemon.Job{Image: c.oneOf(endless...)}, func(x *daemon.Container) error {
		var starting sync.WaitGroup
		var err error
		starting.Go(func() { // not x.Task.Start, which is not for two at once
			_, e := c.containerd.TaskService().Start(x.Ctx, &tasks.StartRequest{ContainerID: x.ID()})
			err = errgrpc.ToNative(e)
		})
		c.pause(time.Millisecond)
		killed := c.kill(x)
		starting.Wait()
		if err != nil && !errdefs.IsFailedPrecondition(err) && !errdefs.IsAborted(err) {
			return errors.Join(killed, fmt.Errorf("starting it: %w", err))
		}
		return killed
	})
}

func isNeverStarted(c *client) error {
	return c.with(daemon.Job{Image: c.oneOf("hello-c", "spin", "echo")}, func(*daemon.Container) error { return nil })
}

func isPausedAndGoesOn(c *client) error {
	return c.started(daemon.Job{Image: c.oneOf(endless...)}, func(x *daemon.Container) error {
		for range 1 + c.IntN(3) {
			c.pause(longest)
			if err := pauseTask(x); err != nil {
				return err
			}
			if err := x.Task.Resume(x.Ctx); err != nil {
				return fmt.Errorf("resuming: %w", err)
			}
		}
		return c.kill(x)
	})
}

func isPausedAndKilled(c *client) error {
	return c.started(daemon.Job{Image: c.oneOf(endless...)}, func(x *daemon.Container) error {
		c.pause(longest)
		if err := pauseTask(x); err != nil {
			return err
		}
		return c.kill(x)
	})
}

func pauseTask(x *daemon.Container) error {
	if err := x.Task.Pause(x.Ctx); err != nil {
		return fmt.Errorf("pausing: %w", err)
	}
	status, err := x.Task.Status(x.Ctx)
	if err == nil && status.Status != containerd.Paused {
		err = fmt.Errorf("the task is %s, and should be paused", status.Status)
	}
	return err
}

// hasExecs ends them one by one, or with their container.
func hasExecs(c *client) error {
	return c.started(daemon.Job{Image: c.oneOf(endless...)}, func(x *daemon.Container) error {
		var execs []*running
		for range 1 + c.IntN(3) {
			e, err := startExec(x)
			if err != nil {
				return errors.Join(err, c.kill(x))
			}
			execs = append(execs, e)
		}
		c.pause(longest)
		var err error
		if c.IntN(2) == 0 {
			for _, e := range execs {
				err = errors.Join(err, e.Kill(x.Ctx, unix.SIGKILL))
			}
		}
		err = errors.Join(err, c.kill(x))
		for _, e := range execs {
			err = errors.Join(err, e.expectKilled(x.Ctx))
		}
		return err
	})
}

// running is an exec that runs, and how it ends.
type running struct {
	containerd.Process
	exit <-chan containerd.ExitStatus
}

// startExec runs the container's own module once more in it.
func startExec(x *daemon.Container) (*running, error) {
	spec, err := x.Spec(x.Ctx)
	if err != nil {
		return nil, err
	}
	p, err := x.Task.Exec(x.Ctx, daemon.NewID(), spec.Process, cio.NullIO)
	if err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	exit, err := p.Wait(x.Ctx)
	if err != nil {
		return nil, err
	}
	if err := p.Start(x.Ctx); err != nil {
		return nil, fmt.Errorf("starting an exec: %w", err)
	}
	return &running{p, exit}, nil
}

func (e *running) expectKilled(ctx context.Context) error {
	status := <-e.exit
	if code := status.ExitCode(); code != 137 || status.Error() != nil {
		return fmt.Errorf("an exec ended with exit code %d (%w)", code, status.Error())
	}
	_, err := e.Delete(ctx)
	return err
}

func runsOutOfMemory(c *client) error {
	const limit = 4 << 20
	job := daemon.Job{Image: images.Wasm("mem").Ref, Args: []string{"die"}, Opts: []oci.SpecOpts{oci.WithMemoryLimit(limit)}}
	return c.started(job, func(x *daemon.Container) error { return expectEnd(x, 137) })
}

func readsItsInput(c *client) error {
	text := strings.Repeat("input ", c.IntN(20_000))
	return c.started(daemon.Job{Image: images.Wasm("echo").Ref, Stdin: text}, func(x *daemon.Container) error {
		if err := expectEnd(x, 0); err != nil {
			return err
		}
		if got := x.Stdout.String(); got != text {
			return fmt.Errorf("%d of %d bytes came back", len(got), len(text))
		}
		return nil
	})
}

func hasAQuotaAndIsKilled(c *client) error {
	job := daemon.Job{Image: images.Wasm("spin").Ref, Opts: []oci.SpecOpts{oci.WithCPUCFS(10_000, 100_000)}}
	return c.started(job, func(x *daemon.Container) error {
		c.pause(longest)
		return c.kill(x)
	})
}

// hostile are guests of test/hostile that open all that they can, and end with it.
var hostile = []string{"directories-many", "files-many-left", "poll-many", "sock-many"}

func takesWhatItCanGet(c *client) error {
	return c.started(daemon.Job{Image: source(hostile[c.IntN(len(hostile))])}, func(x *daemon.Container) error {
		if c.IntN(2) == 0 {
			return expectEnd(x, 0)
		}
		c.pause(10 * longest)
		if err := x.Task.Kill(x.Ctx, unix.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
		return expectEnd(x, 0, 137)
	})
}

func isDeletedWhileItRuns(c *client) error {
	return c.started(daemon.Job{Image: c.oneOf(endless...)}, func(x *daemon.Container) error {
		if err := expectClass("deleting it", c.deleteTask(x), errdefs.IsFailedPrecondition); err != nil {
			return err
		}
		return c.kill(x)
	})
}

// deleteTask asks the daemon, which the client library does only if it thinks that
// the task is over.
func (c *client) deleteTask(x *daemon.Container) error {
	_, err := c.containerd.TaskService().Delete(x.Ctx, &tasks.DeleteTaskRequest{ContainerID: x.ID()})
	return errgrpc.ToNative(err)
}

func isDoneTwice(c *client) error {
	return c.started(daemon.Job{Image: c.oneOf(endless...)}, func(x *daemon.Container) error {
		_, again := x.NewTask(x.Ctx, cio.NullIO)
		err := errors.Join(
			expectClass("creating it again", again, errdefs.IsAlreadyExists),
			expectClass("starting it again", x.Task.Start(x.Ctx), errdefs.IsFailedPrecondition),
			c.kill(x),
			expectClass("killing it again", x.Task.Kill(x.Ctx, unix.SIGKILL), errdefs.IsNotFound),
		)
		if err != nil {
			return err
		}
		if err := c.deleteTask(x); err != nil {
			return err
		}
		return expectClass("deleting it again", c.deleteTask(x), errdefs.IsNotFound)
	})
}

func isMeasuredWhileItEnds(c *client) error {
	return c.started(daemon.Job{Image: c.oneOf(endless...)}, func(x *daemon.Container) error {
		over := make(chan struct{})
		var measuring sync.WaitGroup
		var err error
		measuring.Go(func() {
			for err == nil {
				select {
				case <-over:
					return
				default:
					_, err = x.Task.Metrics(x.Ctx)
				}
			}
		})
		c.pause(longest)
		killed := c.kill(x)
		close(over)
		measuring.Wait()
		if err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("measuring it: %w", err)
		}
		return killed
	})
}

// refused are modules that no container can run.
var refused = map[string][]byte{
	"refused-text":  []byte("hello world"),
	"refused-entry": []byte("\x00asm\x01\x00\x00\x00"),
	"refused-code":  []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x05\x01\x03\x00\x6a\x0b"),
}

func isRefused(c *client) error {
	names := []string{"refused-code", "refused-entry", "refused-text"}
	err := c.with(daemon.Job{Image: source(names[c.IntN(len(names))])}, func(*daemon.Container) error { return nil })
	return expectClass("creating it", err, errdefs.IsInvalidArgument)
}

// losesItsClient has a request end at any moment of creating or starting a task. It
// then finds out what became of the task, in the way of a client that tries again.
func losesItsClient(c *client) error {
	x, err := c.daemon.NewContainer(c.ctx, daemon.Job{Image: c.oneOf(endless...), Client: c.containerd})
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(x.Ctx, rand.N(8*time.Millisecond))
	if task, err := x.NewTask(short, cio.NullIO); err == nil {
		_ = task.Start(short) // or not
	}
	cancel()
	for deadline := time.Now().Add(daemon.Patience); ; {
		err = c.removeTask(x)
		if err == nil || time.Now().After(deadline) {
			return errors.Join(err, x.Remove())
		}
	}
}

// removeTask returns an error for a task that is still being made.
func (c *client) removeTask(x *daemon.Container) error {
	_, err := x.NewTask(x.Ctx, cio.NullIO)
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return err
	}
	task, err := x.Container.Task(x.Ctx, nil)
	if err != nil {
		return err
	}
	_, err = task.Delete(x.Ctx, containerd.WithProcessKill)
	return err
}

func (c *client) connectAgain() error { return errors.Join(c.close(), c.connect()) }

// expectClass returns nil for an error of the class.
func expectClass(what string, err error, class func(error) bool) error {
	if class(err) {
		return nil
	}
	return fmt.Errorf("%s: unexpected result: %w", what, err)
}
