// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/containerd/containerd/api/events"
	eventbus "github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/containerd/v2/pkg/identifiers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/containerd-wasm/containerd-wasm/runtime/cgroup"
	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/runtime/telemetry"
)

// Name is the runtime that clients ask for: `ctr run --runtime`,
// runtime_type in the CRI configuration.
const Name = "io.containerd.wasmedge.v1"

// Config of a Manager.
type Config struct {
	// State is a directory for what does not outlive the daemon: the mount
	// points of root file systems that are not plain directories.
	State string
	// StackSize is the native call stack of a guest in bytes. Only what a
	// guest touches takes memory.
	StackSize uint64
	// MaxMemory is what all guests may have together, in bytes: linear memory,
	// stacks, what the engine takes for each, and their modules. 0: three quarters of the
	// host's, or of the daemon's cgroup.
	MaxMemory uint64
	// MaxGuests is how many guests and pods there may be. 0: as many as
	// vm.max_map_count and addresses have room for.
	MaxGuests int
	// LinuxRuntime is the runtime of Linux containers in pods of ours.
	LinuxRuntime string
}

// Manager makes and holds the tasks of runtime Name, of all namespaces.
type Manager struct {
	config    Config
	engine    *engine.Engine
	cgroups   *cgroup.Root
	publisher eventbus.Publisher
	hostPID   func(sandbox string) bool // nil: none has it
	upstream  runtime.PlatformRuntime   // of Linux containers in pods; nil: there are none

	mu    sync.Mutex
	tasks map[key]*task // nil: being created
	pods  pods
}

type key struct{ namespace, id string }

// NewManager prepares the process for guests and cleans the state directory
// of what an earlier daemon left there. The engine's budget is jail.Budget. It works
// once.
//
// Errors: InvalidArgument naming the configuration key; FailedPrecondition:
// the process lacks what jails need.
func NewManager(ctx context.Context, config Config, e *engine.Engine, publisher eventbus.Publisher) (*Manager, error) {
	if config.StackSize < minStack || config.StackSize > maxStack {
		return nil, fmt.Errorf("stack_size %d is not between %d and %d: %w", config.StackSize, minStack, maxStack, errdefs.ErrInvalidArgument)
	}
	if err := setLimits(config); err != nil {
		return nil, err
	}
	keepalive, err := e.LoadBytes(ctx, "keepalive", jail.Keepalive, engine.WithImport("env", "block"))
	if err != nil {
		return nil, fmt.Errorf("loading the keep-alive module: %w", err)
	}
	// Never released: its guest runs as long as the process.
	cgroups := cgroup.Open(ctx, config.State)
	if err := jail.Init(keepalive.AST(), cgroups.Join()); err != nil {
		return nil, err
	}
	jail.Budget{}.GiveBack(e.UnloadOldest)
	if err := resetState(config.State); err != nil {
		return nil, fmt.Errorf("cleaning %q: %w", config.State, err)
	}
	m := &Manager{
		config:    config,
		engine:    e,
		cgroups:   cgroups,
		publisher: publisher,
		tasks:     make(map[key]*task),
		pods:      newPods(),
	}
	if err := telemetry.Register(prometheus.DefaultRegisterer, m.linearMemory, jail.MemoryUsed, jail.MemoryLimit); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return m, nil
}

// Bounds of Config.StackSize: the smallest has room for isolating the thread,
// the largest for a few thousand guests in 47 bits of address space.
const (
	minStack = 256 << 10
	maxStack = 1 << 30
)

// resetState empties the state directory. Mounts in it are the leftovers of a
// daemon that died between mounting a root and cloning it.
func resetState(dir string) error {
	if err := mount.UnmountRecursive(dir, 0); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o700)
}

// Create makes a task that waits for Start.
//
// Errors: AlreadyExists; InvalidArgument, NotFound, PermissionDenied or
// NotImplemented naming what of the spec, the root file system or the module
// is at fault; ResourceExhausted.
func (m *Manager) Create(ctx context.Context, id string, opts runtime.CreateOpts) (runtime.Task, error) {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return nil, err
	}
	if err := identifiers.Validate(id); err != nil {
		return nil, fmt.Errorf("invalid task id %q: %w", id, err)
	}
	k := key{namespace, id}
	if err := m.reserve(k); err != nil {
		return nil, err
	}
	ctx, end := telemetry.Stage(ctx, telemetry.StageCreate)
	t, err := m.newTask(ctx, k, opts)
	end(err)
	if err != nil {
		m.forget(k)
		if !errors.Is(err, errLinuxProgram) {
			telemetry.Started(err)
		}
		return nil, fmt.Errorf("creating task %q: %w", id, err)
	}
	m.mu.Lock()
	m.tasks[k] = t
	if t.sandbox != "" {
		m.pods.add(k, t.sandbox, t)
	}
	m.mu.Unlock()
	m.publish(namespace, runtime.TaskCreateEventTopic, &events.TaskCreate{
		ContainerID: id,
		Rootfs:      mount.ToProto(opts.Rootfs),
		IO: &events.TaskIO{
			Stdin:    opts.IO.Stdin,
			Stdout:   opts.IO.Stdout,
			Stderr:   opts.IO.Stderr,
			Terminal: opts.IO.Terminal,
		},
		Pid: t.pid(),
	})
	go t.watch()
	return t, nil
}

// reserve keeps a second Create of the same id out while the first is busy.
func (m *Manager) reserve(k key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.tasks[k]; ok {
		return fmt.Errorf("task %q: %w", k.id, errdefs.ErrAlreadyExists)
	}
	m.tasks[k] = nil
	return nil
}

func (m *Manager) forget(k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tasks, k)
}

// get finds a task. Errors: NotFound.
func (m *Manager) get(ctx context.Context, id string) (*task, error) {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tasks[key{namespace, id}]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("task %q: %w", id, errdefs.ErrNotFound)
}

// list returns the tasks of the context's namespace, or of all.
func (m *Manager) list(ctx context.Context, all bool) ([]runtime.Task, error) {
	var namespace string
	if !all {
		var err error
		if namespace, err = namespaces.NamespaceRequired(ctx); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []runtime.Task
	for k, t := range m.tasks {
		if t != nil && (all || k.namespace == namespace) {
			out = append(out, t)
		}
	}
	return out, nil
}

// remove deletes a task that is not running.
//
// Errors: FailedPrecondition: it runs.
func (m *Manager) remove(ctx context.Context, t *task) (*runtime.Exit, error) {
	if err := t.end(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	if m.tasks[t.key] != t {
		m.mu.Unlock()
		return nil, fmt.Errorf("task %q: %w", t.key.id, errdefs.ErrNotFound)
	}
	delete(m.tasks, t.key)
	m.pods.remove(t.key)
	m.mu.Unlock()
	exit := t.exit()
	m.publish(t.key.namespace, runtime.TaskDeleteEventTopic, &events.TaskDelete{
		ContainerID: t.key.id,
		Pid:         exit.Pid,
		ExitStatus:  exit.Status,
		ExitedAt:    timestamp(exit.Timestamp),
	})
	return exit, nil
}

// publish puts an event on the daemon's exchange, as a shim's would be.
func (m *Manager) publish(namespace, topic string, event eventbus.Event) {
	ctx := namespaces.WithNamespace(context.Background(), namespace)
	if err := m.publisher.Publish(ctx, topic, event); err != nil {
		log.G(ctx).WithError(err).WithField("topic", topic).Error("publishing a task event")
	}
}
