// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/containerd/v2/pkg/protobuf"
	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/containerd-wasm/containerd-wasm/runtime/cgroup"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// task is one guest. Its state is what its guest does, plus whether Start was
// called.
type task struct {
	manager *Manager
	key     key
	sandbox string // id, or empty
	io      runtime.IO
	limit   uint64 // bytes of linear memory, 0: none
	guest   *jail.Guest
	group   *cgroup.Group
	cleanup func() // what is left to undo when the guest is gone
	stdin   *stdinRelay

	// starting is held while Start, Pause or Resume is busy, so that their events
	// come in order, and before that of the exit.
	starting sync.Mutex

	mu      sync.Mutex
	started bool
	paused  bool
	signal  uint32        // that ends it, 0: none yet
	stopped *runtime.Exit // nil until over
	done    chan struct{} // closed once stopped is set and its event published
}

var _ runtime.Task = (*task)(nil)

func (t *task) ID() string        { return t.key.id }
func (t *task) Namespace() string { return t.key.namespace }

// pid is the id of the guest's thread: /proc/PID/ns are its namespaces.
func (t *task) pid() uint32 { return uint32(t.guest.TID()) }

func (t *task) PID(context.Context) (uint32, error) { return t.pid(), nil }

// Start lets the guest run.
//
// Errors: FailedPrecondition: it was started before, or killed; otherwise the
// cause for which the module could not be instantiated.
func (t *task) Start(context.Context) error {
	t.starting.Lock()
	defer t.starting.Unlock()
	if err := t.setStarted(); err != nil {
		return err
	}
	if err := t.guest.Start(); err != nil {
		return fmt.Errorf("starting task %q: %w", t.key.id, err)
	}
	t.manager.publish(t.key.namespace, runtime.TaskStartEventTopic, &events.TaskStart{
		ContainerID: t.key.id,
		Pid:         t.pid(),
	})
	return nil
}

func (t *task) setStarted() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped != nil || t.signal != 0 {
		return fmt.Errorf("task %q has ended before it was started: %w", t.key.id, errdefs.ErrFailedPrecondition)
	}
	if t.started {
		return fmt.Errorf("task %q was started before: %w", t.key.id, errdefs.ErrFailedPrecondition)
	}
	t.started = true
	return nil
}

// watch waits for the end of the guest and makes it known.
func (t *task) watch() {
	<-t.guest.Done()
	t.starting.Lock()
	defer t.starting.Unlock()
	t.cleanup()
	t.mu.Lock()
	result := t.guest.Result()
	status, oom := exitStatus(&result, t.signal)
	exit := &runtime.Exit{Pid: t.pid(), Status: status, Timestamp: time.Now()}
	t.stopped = exit
	t.mu.Unlock()
	if result.Message != "" {
		log.L.WithField("namespace", t.key.namespace).WithField("id", t.key.id).WithField("reason", result.Message).Info("guest ended")
	}
	if oom {
		t.manager.publish(t.key.namespace, runtime.TaskOOMEventTopic, &events.TaskOOM{ContainerID: t.key.id})
	}
	t.manager.publish(t.key.namespace, runtime.TaskExitEventTopic, &events.TaskExit{
		ContainerID: t.key.id,
		ID:          t.key.id,
		Pid:         exit.Pid,
		ExitStatus:  exit.Status,
		ExitedAt:    timestamp(exit.Timestamp),
	})
	close(t.done)
}

func timestamp(at time.Time) *timestamppb.Timestamp { return protobuf.ToTimestamp(at) }

// exit is how the task ended; it must have.
func (t *task) exit() *runtime.Exit {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stopped
}

// end makes sure that a task that is to be deleted is over: one that was never
// started is ended for it.
//
// Errors: FailedPrecondition: it runs.
func (t *task) end(ctx context.Context) error {
	t.mu.Lock()
	running := t.started && t.stopped == nil && !t.over()
	t.mu.Unlock()
	if running {
		return fmt.Errorf("task %q is running: %w", t.key.id, errdefs.ErrFailedPrecondition)
	}
	t.guest.Kill()
	_, err := t.Wait(ctx)
	return err
}

// over says whether the guest is gone, though its exit may not be published.
func (t *task) over() bool {
	select {
	case <-t.guest.Done():
		return true
	default:
		return false
	}
}

// Wait returns how the task ended, after it did.
func (t *task) Wait(ctx context.Context) (*runtime.Exit, error) {
	select {
	case <-t.done:
		return t.exit(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for task %q: %w", t.key.id, context.Cause(ctx))
	}
}

func (t *task) State(context.Context) (runtime.State, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := runtime.State{
		Status:   runtime.CreatedStatus,
		Pid:      t.pid(),
		Stdin:    t.io.Stdin,
		Stdout:   t.io.Stdout,
		Stderr:   t.io.Stderr,
		Terminal: t.io.Terminal,
	}
	switch {
	case t.stopped != nil:
		s.Status = runtime.StoppedStatus
		s.ExitStatus = t.stopped.Status
		s.ExitedAt = t.stopped.Timestamp
	case t.paused:
		s.Status = runtime.PausedStatus
	case t.started:
		s.Status = runtime.RunningStatus
	}
	return s, nil
}

// Pids has one entry: a guest is one thread.
func (t *task) Pids(context.Context) ([]runtime.ProcessInfo, error) {
	if t.over() {
		return nil, fmt.Errorf("task %q has ended: %w", t.key.id, errdefs.ErrNotFound)
	}
	return []runtime.ProcessInfo{{Pid: t.pid()}}, nil
}

// CloseIO ends the guest's stdin.
func (t *task) CloseIO(context.Context) error {
	t.stdin.CloseIO()
	return nil
}

func (t *task) unsupported(what string) error {
	return fmt.Errorf("%s of task %q: runtime %s does not support it: %w", what, t.key.id, Name, errdefs.ErrNotImplemented)
}

func (t *task) ResizePty(context.Context, runtime.ConsoleSize) error {
	return t.unsupported("resizing the terminal")
}

func (t *task) Exec(context.Context, string, runtime.ExecOpts) (runtime.ExecProcess, error) {
	return nil, t.unsupported("exec")
}

func (t *task) Process(_ context.Context, id string) (runtime.ExecProcess, error) {
	return nil, fmt.Errorf("process %q of task %q: %w", id, t.key.id, errdefs.ErrNotFound)
}

func (t *task) Checkpoint(context.Context, string, *ptypes.Any) error {
	return t.unsupported("checkpoint")
}

func (t *task) Update(context.Context, *ptypes.Any, map[string]string) error {
	return t.unsupported("changing the resources")
}
