// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"

	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
)

// Merge returns a task manager that makes the tasks of runtime Name with wasm
// and all others with upstream, and finds both.
func Merge(upstream runtime.PlatformRuntime, wasm *Manager) runtime.PlatformRuntime {
	merged := &mergedRuntime{upstream, wasm}
	// Introspection asks the task plugin about runtimes through this method.
	if p, ok := upstream.(pluginInfoProvider); ok {
		return &mergedRuntimeWithInfo{merged, p}
	}
	return merged
}

type pluginInfoProvider interface {
	PluginInfo(ctx context.Context, request any) (any, error)
}

type mergedRuntimeWithInfo struct {
	*mergedRuntime
	pluginInfoProvider
}

type mergedRuntime struct {
	upstream runtime.PlatformRuntime
	wasm     *Manager
}

func (m *mergedRuntime) ID() string { return m.upstream.ID() }

func (m *mergedRuntime) Create(ctx context.Context, id string, opts runtime.CreateOpts) (runtime.Task, error) {
	if opts.Runtime == Name {
		return m.wasm.Create(ctx, id, opts)
	}
	return m.upstream.Create(ctx, id, opts)
}

func (m *mergedRuntime) Get(ctx context.Context, id string) (runtime.Task, error) {
	if t, err := m.wasm.get(ctx, id); err == nil {
		return t, nil
	} else if !errdefs.IsNotFound(err) {
		return nil, err
	}
	return m.upstream.Get(ctx, id)
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
	return m.upstream.Delete(ctx, id)
}
