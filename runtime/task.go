// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/containerd/v2/pkg/protobuf"
	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// task is a container's process, and its execs.
type task struct {
	process
	manager *Manager
	key     key
	sandbox string        // id, or empty
	tenant  string        // the pod's namespace in Kubernetes, or empty
	limit   atomic.Uint64 // bytes of linear memory, 0: none
	ooms    atomic.Uint64 // guests that died of it
	module  *engine.Module
	execs   execs

	// What execs take over: what of the spec confines them too, and the module's
	// file if nobody can change it, or nil.
	confined jail.Spec
	sealed   os.FileInfo
}

var _ runtime.Task = (*task)(nil)

// sandboxNamespace is upstream's name (internal/cri/annotations), which no annotation of a
// pod overrides.
const sandboxNamespace = "io.kubernetes.cri.sandbox-namespace"

// use is for whom modules are loaded.
func (t *task) use() engine.Use { return engine.Use{Container: t.key.id, Tenant: t.tenant} }

func (t *task) ID() string        { return t.key.id }
func (t *task) Namespace() string { return t.key.namespace }

func (t *task) PID(context.Context) (uint32, error) { return t.pid(), nil }

// Start lets the guest run.
//
// Errors: FailedPrecondition: it was started before, or killed; otherwise the
// cause for which the module could not be instantiated.
func (t *task) Start(ctx context.Context) error {
	t.starting.Lock()
	defer t.starting.Unlock()
	if err := t.start(ctx); err != nil {
		return err
	}
	t.publish(runtime.TaskStartEventTopic, &events.TaskStart{
		ContainerID: t.key.id,
		Pid:         t.pid(),
	})
	return nil
}

// watch waits for the end of the guest, ends its execs, and makes both known.
func (t *task) watch() {
	t.awaitEnd()
	t.execs.end()
	t.module.Release()
	deleteGroup(context.Background(), t.group)
	t.conclude(func(exit *runtime.Exit, oom bool) { t.publishExit(t.key.id, exit, oom) })
}

// publishExit is for the process of that id: the task's own, or an exec's.
func (t *task) publishExit(id string, exit *runtime.Exit, oom bool) {
	if oom {
		// CRI looks here if it hears of the exit before that event.
		t.ooms.Add(1)
		t.publish(runtime.TaskOOMEventTopic, &events.TaskOOM{ContainerID: t.key.id})
	}
	t.publish(runtime.TaskExitEventTopic, &events.TaskExit{
		ContainerID: t.key.id,
		ID:          id,
		Pid:         exit.Pid,
		ExitStatus:  exit.Status,
		ExitedAt:    timestamp(exit.Timestamp),
	})
}

func (t *task) publish(topic string, event any) {
	t.manager.publish(t.key.namespace, topic, event)
}

func timestamp(at time.Time) *timestamppb.Timestamp { return protobuf.ToTimestamp(at) }

// Kill delivers a signal, see process.kill. When the task ends, so do its
// execs, so that all makes no difference.
func (t *task) Kill(ctx context.Context, signal uint32, _ bool) error {
	ends, err := t.kill(signal)
	if !ends {
		return err
	}
	// It needs a turn on a processor to end.
	if err := t.group.Hurry(); err != nil && !t.over() {
		log.G(ctx).WithError(err).WithField("id", t.key.id).Warn("hurrying a guest that is to end")
	}
	return nil
}

func (t *task) unsupported(what string) error {
	return fmt.Errorf("%s of task %q: runtime %s does not support it: %w", what, t.key.id, Name, errdefs.ErrNotImplemented)
}

func (t *task) Checkpoint(context.Context, string, *ptypes.Any) error {
	return t.unsupported("checkpoint")
}
