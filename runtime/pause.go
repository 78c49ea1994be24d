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
	if err := t.pause(ctx); err != nil {
		return fmt.Errorf("pausing task %q: %w", t.key.id, err)
	}
	for _, x := range t.execs.list() {
		if x.runs() != nil {
			continue
		}
		if err := x.pause(ctx); err != nil && !x.over() {
			_ = t.resumeAll() // it is held
			return fmt.Errorf("pausing %s: %w", x.name, err)
		}
	}
	t.publish(runtime.TaskPausedEventTopic, &events.TaskPaused{ContainerID: t.key.id})
	return nil
}

// Resume lets paused guests go on.
//
// Errors: FailedPrecondition: it is not paused, or has ended.
func (t *task) Resume(context.Context) error {
	t.starting.Lock()
	defer t.starting.Unlock()
	if err := t.resumeAll(); err != nil {
		return fmt.Errorf("resuming task %q: %w", t.key.id, err)
	}
	t.publish(runtime.TaskResumedEventTopic, &events.TaskResumed{ContainerID: t.key.id})
	return nil
}

// resumeAll resumes whatever is held. Errors: those of the task's own guest.
func (t *task) resumeAll() error {
	for _, x := range t.execs.list() {
		_ = x.resume() // one that was not held
	}
	return t.resume()
}

// pause holds one guest. Errors: those of Pause.
func (p *process) pause(ctx context.Context) error {
	if err := p.runs(); err != nil {
		return err
	}
	if err := p.guest.Pause(ctx); err != nil {
		return err
	}
	p.setPaused(true)
	return nil
}

// resume lets one guest go on. Errors: those of Resume.
func (p *process) resume() error {
	if err := p.runs(); err != nil {
		return err
	}
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
