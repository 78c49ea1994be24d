// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/containerd/v2/pkg/identifiers"
	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// exec is a further guest of a task: another instance of its module, or of
// another one that it sees, in the same root and with the same limits. It ends
// with the task's own guest, if not before.
type exec struct {
	process
	task   *task
	id     string
	module *engine.Module
	gone   chan struct{} // closed when its guest is, and needs its group no more
	lift   sync.Once     // Kill
	lifted bool

	// announced: its start was published, and so its exit will be; starting guards it.
	announced bool
}

var _ runtime.ExecProcess = (*exec)(nil)

// Exec makes a guest beside the task's own that waits for Start. opts.Spec is a
// specs.Process.
//
// Errors: FailedPrecondition: the task does not run, or is paused; AlreadyExists:
// the id, which may not be the task's either; InvalidArgument, NotFound,
// PermissionDenied or NotImplemented naming what of the spec or the module is at
// fault; ResourceExhausted.
func (t *task) Exec(ctx context.Context, id string, opts runtime.ExecOpts) (runtime.ExecProcess, error) {
	if err := identifiers.Validate(id); err != nil {
		return nil, fmt.Errorf("invalid exec id %q: %w", id, err)
	}
	x, err := t.addExec(ctx, id, opts)
	if err != nil {
		return nil, fmt.Errorf("exec %q of task %q: %w", id, t.key.id, err)
	}
	return x, nil
}

func (t *task) addExec(ctx context.Context, id string, opts runtime.ExecOpts) (*exec, error) {
	// By its id alone do clients tell an exit of an exec from the container's.
	if id == t.key.id {
		return nil, fmt.Errorf("the task's own process has that id: %w", errdefs.ErrAlreadyExists)
	}
	if err := t.canExec(); err != nil {
		return nil, err
	}
	if err := t.execs.reserve(id); err != nil {
		return nil, err
	}
	defer t.execs.making.Done()
	ctx, cancel := t.whileItRuns(ctx)
	defer cancel()
	x, err := t.newExec(ctx, id, opts)
	if err != nil {
		t.execs.forget(id)
		if t.over() { // whatever failed for it
			err = fmt.Errorf("the task has ended: %w", errdefs.ErrFailedPrecondition)
		}
		return nil, err
	}
	t.execs.add(x)
	if t.over() { // and has not waited for it
		_ = x.Kill(context.Background(), uint32(unix.SIGKILL), false)
	}
	t.publish(runtime.TaskExecAddedEventTopic, &events.TaskExecAdded{ContainerID: t.key.id, ExecID: id})
	go x.watch()
	return x, nil
}

// canExec is nil if the task's guest is there and not held.
//
// Errors: FailedPrecondition.
func (t *task) canExec() error {
	if err := t.runs(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paused {
		return fmt.Errorf("the task is paused: %w", errdefs.ErrFailedPrecondition)
	}
	return nil
}

// whileItRuns ends a context with the task's guest: its end waits for execs that
// are being made, some of which wait for a compiler.
func (t *task) whileItRuns(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-ctx.Done():
		case <-t.guest.Done():
			cancel()
		}
	}()
	return ctx, cancel
}

// newExec makes the guest. What does not belong to the process but to the
// container comes from the latter's spec, or from its guest as it is now: the root
// with all that is mounted in it, also a tmpfs, and the network.
func (t *task) newExec(ctx context.Context, id string, opts runtime.ExecOpts) (*exec, error) {
	p, err := parseProcess(opts.Spec)
	if err != nil {
		return nil, err
	}
	js := t.confined
	if err := identity(&js, p); err != nil {
		return nil, err
	}
	if js.View, err = t.guest.View(); err != nil {
		return nil, err
	}
	defer js.View.Close()
	js.Rootfs = js.View.Root()
	module, err := t.loadExec(ctx, &js, p)
	if err != nil {
		return nil, err
	}
	guest, stdio, err := openGuest(ctx, &js, p, opts.IO, t.group)
	if err != nil {
		module.Release()
		return nil, err
	}
	x := &exec{
		process: newProcess(fmt.Sprintf("exec %q of task %q", id, t.key.id), guest, stdio, t.group),
		task:    t,
		id:      id,
		module:  module,
		gone:    make(chan struct{}),
	}
	stdio.begin(func(signal uint32) { _ = x.Kill(context.Background(), signal, false) })
	return x, nil
}

// loadExec is loadEntrypoint, in turn.
func (t *task) loadExec(ctx context.Context, js *jail.Spec, p *specs.Process) (*engine.Module, error) {
	done, err := t.execs.takeTurn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return t.manager.loadEntrypoint(ctx, t.use(), js, p, t.isSealed)
}

// isSealed knows the task's own module only: others are hashed.
func (t *task) isSealed(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && t.sealed != nil && os.SameFile(info, t.sealed)
}

// parseProcess refuses what is no process. Errors: InvalidArgument.
func parseProcess(spec *ptypes.Any) (*specs.Process, error) {
	var p specs.Process
	if spec == nil {
		return nil, fmt.Errorf("no process: %w", errdefs.ErrInvalidArgument)
	}
	if err := typeurl.UnmarshalTo(spec, &p); err != nil {
		return nil, fmt.Errorf("the process: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	if len(p.Args) == 0 || p.Args[0] == "" {
		return nil, fmt.Errorf("no command: give the path of a module in the container: %w", errdefs.ErrInvalidArgument)
	}
	return &p, nil
}

func (x *exec) ID() string { return x.id }

// Start lets the guest run.
//
// Errors: FailedPrecondition: it was started before, or has ended, or the task is
// paused; otherwise the cause for which the module could not be instantiated.
func (x *exec) Start(ctx context.Context) error {
	x.task.starting.Lock() // Pause holds all that run
	defer x.task.starting.Unlock()
	x.starting.Lock()
	defer x.starting.Unlock()
	if err := x.task.canExec(); err != nil {
		return fmt.Errorf("starting %s: %w", x.name, err)
	}
	if err := x.start(ctx); err != nil {
		return err
	}
	x.task.publish(runtime.TaskExecStartedEventTopic, &events.TaskExecStarted{
		ContainerID: x.task.key.id,
		ExecID:      x.id,
		Pid:         x.pid(),
	})
	x.announced = true
	return nil
}

// watch waits for the end of the guest and makes it known.
func (x *exec) watch() {
	x.awaitEnd()
	x.group.Unpin(x.guest.TID())
	x.module.Release()
	x.lift.Do(func() {}) // from here on there is nothing to hurry
	if x.lifted {
		x.warn(x.group.Restore(), "giving a container its CPU limits back")
	}
	close(x.gone)
	// The event of a death for lack of memory would be the container's: CRI takes it for
	// the reason of the container's own end, whenever and however that comes.
	x.conclude(func(exit *runtime.Exit, _ bool) {
		if x.announced {
			x.task.publishExit(x.id, exit, false)
		}
	})
}

// Kill delivers a signal, see process.kill.
func (x *exec) Kill(_ context.Context, signal uint32, _ bool) error {
	ends, err := x.kill(signal)
	if !ends {
		return err
	}
	// It needs a turn on a processor to end.
	x.lift.Do(func() {
		x.lifted = true
		x.warn(x.group.Lift(), "hurrying a guest that is to end")
	})
	return nil
}

func (x *exec) warn(err error, what string) {
	if err != nil {
		log.L.WithError(err).WithField("guest", x.name).Warn(what)
	}
}

// Delete forgets one that is not running.
//
// Errors: FailedPrecondition: it runs; NotFound: it was deleted.
func (x *exec) Delete(ctx context.Context) (*runtime.Exit, error) {
	if err := x.end(ctx); err != nil {
		return nil, err
	}
	if !x.task.execs.remove(x) {
		return nil, fmt.Errorf("%s: %w", x.name, errdefs.ErrNotFound)
	}
	return x.exit(), nil
}

// Process finds an exec. Errors: NotFound.
func (t *task) Process(_ context.Context, id string) (runtime.ExecProcess, error) {
	if x := t.execs.get(id); x != nil {
		return x, nil
	}
	return nil, fmt.Errorf("exec %q of task %q: %w", id, t.key.id, errdefs.ErrNotFound)
}

// Pids has the threads of all guests; Info names the exec, as with runc's shim.
func (t *task) Pids(context.Context) ([]runtime.ProcessInfo, error) {
	if t.over() {
		return nil, fmt.Errorf("task %q has ended: %w", t.key.id, errdefs.ErrNotFound)
	}
	pids := []runtime.ProcessInfo{{Pid: t.pid()}}
	for _, x := range t.execs.list() {
		if !x.over() {
			pids = append(pids, runtime.ProcessInfo{Pid: x.pid(), Info: &options.ProcessDetails{ExecID: x.id}})
		}
	}
	return pids, nil
}
