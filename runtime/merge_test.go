// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
)

// upstream notes which calls reach it.
type upstream struct {
	runtime.PlatformRuntime
	calls []string
}

func (u *upstream) Create(_ context.Context, id string, _ runtime.CreateOpts) (runtime.Task, error) {
	u.calls = append(u.calls, "create "+id)
	return nil, nil
}

func (u *upstream) Get(_ context.Context, id string) (runtime.Task, error) {
	u.calls = append(u.calls, "get "+id)
	return nil, fmt.Errorf("task %q: %w", id, errdefs.ErrNotFound)
}

func (u *upstream) Delete(_ context.Context, id string) (*runtime.Exit, error) {
	u.calls = append(u.calls, "delete "+id)
	return nil, nil
}

func (u *upstream) Tasks(context.Context, bool) ([]runtime.Task, error) { return nil, nil }

func (u *upstream) PluginInfo(context.Context, any) (any, error) { return "info", nil }

func TestOtherRuntimesGoToUpstream(t *testing.T) {
	u := &upstream{}
	m := Merge(u, &Manager{tasks: map[key]*task{}, pods: newPods()})
	ctx := namespaces.WithNamespace(t.Context(), "test")
	_, _ = m.Create(ctx, "a", runtime.CreateOpts{Runtime: "io.containerd.runc.v2"})
	_, _ = m.Get(ctx, "b")
	_, _ = m.Delete(ctx, "c")
	if got := strings.Join(u.calls, ", "); got != "create a, get b, delete c" {
		t.Fatalf("upstream was asked to %s", got)
	}
	info, ok := m.(pluginInfoProvider)
	if !ok {
		t.Fatal("introspection cannot ask about runtimes any more")
	}
	if got, err := info.PluginInfo(ctx, nil); err != nil || got != "info" {
		t.Fatalf("plugin info is %v, %v", got, err)
	}
}

func TestOursDoesNotReachUpstream(t *testing.T) {
	u := &upstream{}
	m := Merge(u, &Manager{tasks: map[key]*task{}, pods: newPods()})
	ctx := namespaces.WithNamespace(t.Context(), "test")
	if _, err := m.Create(ctx, "a", runtime.CreateOpts{Runtime: Name}); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), `creating task "a": the container has no OCI spec`) {
		t.Errorf("got %v", err)
	}
	if len(u.calls) != 0 {
		t.Errorf("upstream was asked to %v", u.calls)
	}
	if tasks, err := m.Tasks(ctx, true); err != nil || len(tasks) != 0 {
		t.Errorf("a task that could not be created is listed: %v, %v", tasks, err)
	}
}

func TestLinuxContainersRunWithoutUs(t *testing.T) {
	u := &upstream{}
	m := Without(u, fmt.Errorf("the engine is missing: %w", errdefs.ErrInvalidArgument))
	if _, err := m.Create(t.Context(), "a", runtime.CreateOpts{Runtime: "io.containerd.runc.v2"}); err != nil || len(u.calls) != 1 {
		t.Errorf("got %v, upstream was asked to %v", err, u.calls)
	}
	_, err := m.Create(t.Context(), "b", runtime.CreateOpts{Runtime: Name})
	if !errdefs.IsUnavailable(err) || errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "the engine is missing") {
		t.Errorf("got %v", err)
	}
}
