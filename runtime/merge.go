// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
)

// Merge returns a task manager that makes the tasks of runtime Name with wasm
// and all others with upstream, also Linux containers in pods of ours (linux.go),
// and finds both.
func Merge(upstream runtime.PlatformRuntime, wasm *Manager) runtime.PlatformRuntime {
	wasm.upstream = upstream
	return withPluginInfo(upstream, &mergedRuntime{upstream, wasm}, ownInfo)
}

// Without returns a task manager that is upstream's, but for an error that
// gives the reason why there are no tasks of runtime Name.
func Without(upstream runtime.PlatformRuntime, reason error) runtime.PlatformRuntime {
	return withPluginInfo(upstream, &refusingRuntime{upstream, reason}, nil)
}

// refusingRuntime keeps Linux containers going where our runtime cannot work.
type refusingRuntime struct {
	runtime.PlatformRuntime
	reason error
}

// Errors: Unavailable for runtime Name.
func (r *refusingRuntime) Create(ctx context.Context, id string, opts runtime.CreateOpts) (runtime.Task, error) {
	if opts.Runtime == Name {
		// The reason's own class is about a configuration, not this request.
		return nil, fmt.Errorf("runtime %s did not start with the daemon: %s: %w", Name, r.reason.Error(), errdefs.ErrUnavailable)
	}
	return createUpstream(ctx, r.PlatformRuntime, id, opts)
}

type mergedRuntime struct {
	upstream runtime.PlatformRuntime
	wasm     *Manager
}

func (m *mergedRuntime) ID() string { return m.upstream.ID() }

func (m *mergedRuntime) Create(ctx context.Context, id string, opts runtime.CreateOpts) (runtime.Task, error) {
	if opts.Runtime != Name {
		if err := checkPlace(ctx, opts, binfmtDir); err != nil {
			return nil, fmt.Errorf("creating task %q: %w", id, err)
		}
		return createUpstream(ctx, m.upstream, id, opts)
	}
	t, err := m.wasm.Create(ctx, id, opts)
	if errors.Is(err, errLinuxProgram) {
		return m.createLinux(ctx, id, opts)
	}
	return t, err
}

// createUpstream makes a task of upstream's, whose root must be its own by then.
func createUpstream(ctx context.Context, upstream runtime.PlatformRuntime, id string, opts runtime.CreateOpts) (runtime.Task, error) {
	if err := unshareModules(ctx, opts.Rootfs); err != nil {
		return nil, fmt.Errorf("creating task %q: %w", id, err)
	}
	return upstream.Create(ctx, id, opts)
}

func (m *mergedRuntime) Get(ctx context.Context, id string) (runtime.Task, error) {
	if t, err := m.wasm.get(ctx, id); err == nil {
		return t, nil
	} else if !errdefs.IsNotFound(err) {
		return nil, err
	}
	t, err := m.upstream.Get(ctx, id)
	if errdefs.IsNotFound(err) {
		m.wasm.linuxGone(ctx, id)
	}
	return t, err
}

func (m *mergedRuntime) Tasks(ctx context.Context, all bool) ([]runtime.Task, error) {
	tasks, err := m.upstream.Tasks(ctx, all)
	if err != nil {
		return nil, err
	}
	ours, err := m.wasm.list(ctx, all)
	return append(tasks, ours...), err
}

func (m *mergedRuntime) Delete(ctx context.Context, id string) (*runtime.Exit, error) {
	if t, err := m.wasm.get(ctx, id); err == nil {
		return m.wasm.remove(ctx, t)
	} else if !errdefs.IsNotFound(err) {
		return nil, err
	}
	exit, err := m.upstream.Delete(ctx, id)
	if err == nil {
		m.wasm.linuxGone(ctx, id)
	}
	return exit, err
}
