// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/cgroup"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/runtime/telemetry"
)

// process is one guest of a task: its own, or that of an exec. Its state is what
// its guest does, plus whether it was started, or is held.
//
//	        made           start            guest ends
//	(nothing) --> CREATED ------> RUNNING ----------> STOPPED
//	                 |             ^   | pause           ^
//	                 |      resume |   v                 |
//	                 |             PAUSED ---------------+
//	                 |                                   |
//	                 +-----------------------------------+
//	          start fails, or it is ended before
//
// Its exit is published, then done closed, then Delete forgets it.
type process struct {
	name  string // for errors
	stdio *stdio
	guest *jail.Guest
	group *cgroup.Group // of the task

	// starting is held while Start, Pause or Resume is busy, so that their events
	// come in order, and before that of the exit.
	starting sync.Mutex

	mu      sync.Mutex
	started bool
	paused  bool
	signal  uint32        // that ends it, 0: none yet
	killed  time.Time     // when that came
	ended   time.Time     // when its guest was gone; for awaitEnd and conclude only
	exited  time.Time     // the same, but not before the end of a start; starting guards it
	stopped *runtime.Exit // nil until over
	done    chan struct{} // closed once stopped is set and its event published
}

// newProcess is for a guest that was made; conclude is to follow its end.
func newProcess(name string, guest *jail.Guest, stdio *stdio, group *cgroup.Group) process {
	telemetry.Present(1)
	return process{name: name, stdio: stdio, guest: guest, group: group, done: make(chan struct{})}
}

// pid is the id of the guest's thread: /proc/PID/ns are its namespaces.
func (p *process) pid() uint32 { return uint32(p.guest.TID()) }

// start lets the guest run; the caller holds starting.
//
// Errors: FailedPrecondition: it was started before, or ended; otherwise the
// cause for which the module could not be instantiated.
func (p *process) start(ctx context.Context) error {
	if err := p.setStarted(); err != nil {
		return err
	}
	p.stdio.start()
	_, end := telemetry.Stage(ctx, telemetry.StageInstantiate)
	err := p.guest.Start()
	end(err)
	telemetry.Started(err)
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	return nil
}

func (p *process) setStarted() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.signal != 0 || !p.started && !p.exited.IsZero() {
		return fmt.Errorf("%s has ended before it was started: %w", p.name, errdefs.ErrFailedPrecondition)
	}
	if p.started {
		return fmt.Errorf("%s was started before: %w", p.name, errdefs.ErrFailedPrecondition)
	}
	p.started = true
	return nil
}

// awaitEnd returns when the guest is gone; conclude is to follow.
func (p *process) awaitEnd() {
	<-p.guest.Done()
	p.ended = time.Now()
	p.starting.Lock()
	defer p.starting.Unlock()
	p.exited = time.Now()
}

// conclude makes the end of the guest known: publish puts the events on the exchange.
func (p *process) conclude(publish func(exit *runtime.Exit, oom bool)) {
	p.stdio.end()
	p.stdio.awaitTaken() // may take seconds, in which other calls need not wait
	p.starting.Lock()
	defer p.starting.Unlock()
	p.mu.Lock()
	result := p.guest.Result()
	status, oom := exitStatus(&result, p.signal)
	exit := &runtime.Exit{Pid: p.pid(), Status: status, Timestamp: p.exited}
	p.stopped = exit
	killed := p.killed
	p.mu.Unlock()
	p.count(&result, oom, killed)
	if result.Message != "" {
		log.L.WithField("guest", p.name).WithField("reason", result.Message).Info("guest ended")
	}
	publish(exit, oom)
	close(p.done)
}

// count tells operators of an end, and of the signal before it, if there was one.
func (p *process) count(r *jail.Result, oom bool, killed time.Time) {
	telemetry.Present(-1)
	how := map[jail.Ending]string{
		jail.Exited: telemetry.Exited, jail.Trapped: telemetry.Trapped, jail.Killed: telemetry.Killed,
		jail.Overflowed: telemetry.Overflowed, jail.BadCall: telemetry.BadCall,
	}[r.Ending]
	if oom {
		how = telemetry.OutOfMemory
	}
	if how != "" { // else it did not start, which Start has counted
		telemetry.Ended(how, r.Message)
	}
	if r.Ending == jail.Killed && !killed.IsZero() {
		telemetry.KillTook(p.ended.Sub(killed))
	}
}

// exit is how the process ended; it must have.
func (p *process) exit() *runtime.Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}

// end makes sure that a process that is to be deleted is over, and its output
// with its client: one that was never started is ended for it.
//
// Errors: FailedPrecondition: it runs.
func (p *process) end(ctx context.Context) error {
	p.mu.Lock()
	running := p.started && p.stopped == nil && !p.over()
	if !p.started {
		p.endBy(uint32(unix.SIGKILL)) // from here on it cannot be started
	}
	p.mu.Unlock()
	if running {
		return fmt.Errorf("%s is running: %w", p.name, errdefs.ErrFailedPrecondition)
	}
	p.guest.Kill()
	if _, err := p.Wait(ctx); err != nil {
		return err
	}
	return p.stdio.wait(ctx)
}

// over says whether the guest is gone, though its exit may not be published.
func (p *process) over() bool {
	select {
	case <-p.guest.Done():
		return true
	default:
		return false
	}
}

// runs is nil for a guest that was started and has not ended.
//
// Errors: FailedPrecondition.
func (p *process) runs() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.started:
		return fmt.Errorf("it was not started: %w", errdefs.ErrFailedPrecondition)
	case p.stopped != nil || p.over():
		return fmt.Errorf("it has ended: %w", errdefs.ErrFailedPrecondition)
	}
	return nil
}

// Wait returns how the process ended, after it did.
func (p *process) Wait(ctx context.Context) (*runtime.Exit, error) {
	select {
	case <-p.done:
		return p.exit(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for %s: %w", p.name, context.Cause(ctx))
	}
}

// State never fails.
func (p *process) State(context.Context) (runtime.State, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := runtime.State{
		Status:   runtime.CreatedStatus,
		Pid:      p.pid(),
		Stdin:    p.stdio.io.Stdin,
		Stdout:   p.stdio.io.Stdout,
		Stderr:   p.stdio.io.Stderr,
		Terminal: p.stdio.io.Terminal,
	}
	switch {
	case p.stopped != nil:
		s.Status = runtime.StoppedStatus
		s.ExitStatus = p.stopped.Status
		s.ExitedAt = p.stopped.Timestamp
	case p.paused:
		s.Status = runtime.PausedStatus
	case p.started:
		s.Status = runtime.RunningStatus
	}
	return s, nil
}

// CloseIO ends the guest's stdin.
func (p *process) CloseIO(context.Context) error {
	p.stdio.CloseIO()
	return nil
}

// ResizePty tells the guest's terminal, if it has one, its size.
//
// Errors: FailedPrecondition: it has ended; InvalidArgument.
func (p *process) ResizePty(_ context.Context, size runtime.ConsoleSize) error {
	if err := p.stdio.resize(size); err != nil {
		return fmt.Errorf("resizing the terminal of %s: %w", p.name, err)
	}
	return nil
}
