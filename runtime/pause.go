// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/runtime"
)

// Pause holds the task's guest and its execs: no more of their code runs until
// Resume. A host call that one waits in goes on waiting.
//
// Errors: FailedPrecondition: it does not run, or is paused; ctx's.
func (t *task) Pause(ctx context.Context) error {
	t.starting.Lock()
	defer t.starting.Unlock()
	if err := t.hold(ctx); err != nil {
		return fmt.Errorf("pausing task %q: %w", t.key.id, err)
	}
	for _, x := range t.execs.list() {
		if x.runs() != nil {
			continue
		}
		if err := x.hold(ctx); err != nil && !x.over() {
			_ = t.release() // it is held
			return fmt.Errorf("pausing %s: %w", x.name, err)
		}
	}
	t.publish(runtime.TaskPausedEventTopic, &events.TaskPaused{ContainerID: t.key.id})
	return nil
}

// Resume lets paused guests go on.
//
// Errors: FailedPrecondition: it is not paused.
func (t *task) Resume(context.Context) error {
	t.starting.Lock()
	defer t.starting.Unlock()
	if err := t.release(); err != nil {
		return fmt.Errorf("resuming task %q: %w", t.key.id, err)
	}
	t.publish(runtime.TaskResumedEventTopic, &events.TaskResumed{ContainerID: t.key.id})
	return nil
}

// release resumes whatever is held.
func (t *task) release() error {
	for _, x := range t.execs.list() {
		_ = x.process.release() // one that was not held
	}
	return t.process.release()
}

// hold pauses one guest. Errors: those of Pause.
func (p *process) hold(ctx context.Context) error {
	if err := p.runs(); err != nil {
		return err
	}
	if err := p.guest.Pause(ctx); err != nil {
		return err
	}
	p.setPaused(true)
	return nil
}

// release resumes one guest. Errors: FailedPrecondition: it is not held.
func (p *process) release() error {
	if err := p.guest.Resume(); err != nil {
		return err
	}
	p.setPaused(false)
	return nil
}

func (p *process) setPaused(paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = paused
}
