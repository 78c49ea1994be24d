// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
)

// Pause holds the guest: no more of its code runs until Resume. A host call that
// it waits in goes on waiting.
//
// Errors: FailedPrecondition: it does not run, or is paused; ctx's.
func (t *task) Pause(ctx context.Context) error {
	t.starting.Lock()
	defer t.starting.Unlock()
	if err := t.runs(); err != nil {
		return fmt.Errorf("pausing task %q: %w", t.key.id, err)
	}
	if err := t.guest.Pause(ctx); err != nil {
		return fmt.Errorf("pausing task %q: %w", t.key.id, err)
	}
	t.setPaused(true)
	t.manager.publish(t.key.namespace, runtime.TaskPausedEventTopic, &events.TaskPaused{ContainerID: t.key.id})
	return nil
}

// Resume lets a paused guest go on.
//
// Errors: FailedPrecondition: it is not paused.
func (t *task) Resume(context.Context) error {
	t.starting.Lock()
	defer t.starting.Unlock()
	if err := t.guest.Resume(); err != nil {
		return fmt.Errorf("resuming task %q: %w", t.key.id, err)
	}
	t.setPaused(false)
	t.manager.publish(t.key.namespace, runtime.TaskResumedEventTopic, &events.TaskResumed{ContainerID: t.key.id})
	return nil
}

// runs is nil for a guest that was started and has not ended.
func (t *task) runs() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.started:
		return fmt.Errorf("it was not started: %w", errdefs.ErrFailedPrecondition)
	case t.stopped != nil || t.over():
		return fmt.Errorf("it has ended: %w", errdefs.ErrFailedPrecondition)
	}
	return nil
}

func (t *task) setPaused(paused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paused = paused
}
