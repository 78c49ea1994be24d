// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/snapshotter"
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

// Whoever runs a container on a snapshot that is a plain directory, it cannot change the
// modules of others.
func TestOtherRuntimesGetModulesOfTheirOwn(t *testing.T) {
	for _, tc := range []struct {
		options []string
		shared  bool
	}{
		{[]string{"rbind", "rw"}, false},
		{[]string{"rbind"}, false},
		{[]string{"rbind", "ro"}, true}, // a view: it is that of all
	} {
		image, tree := t.TempDir(), t.TempDir()
		for name, content := range map[string]string{"module": snapshotter.ModuleMagic, "text": "text"} {
			if err := os.WriteFile(filepath.Join(image, name), []byte(content), 0o444); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(filepath.Join(image, name), filepath.Join(tree, name)); err != nil {
				t.Fatal(err)
			}
		}
		u := &upstream{}
		m := Merge(u, &Manager{tasks: map[key]*task{}, pods: newPods()})
		_, err := m.Create(namespaces.WithNamespace(t.Context(), "test"), "a", runtime.CreateOpts{
			Runtime: "io.containerd.runc.v2", Rootfs: []mount.Mount{{Type: "bind", Source: tree, Options: tc.options}},
		})
		if err != nil || len(u.calls) != 1 {
			t.Errorf("%v: %v, upstream was asked to %v", tc.options, err, u.calls)
		}
		for name, want := range map[string]bool{"module": tc.shared, "text": true} {
			if got := sameFile(filepath.Join(image, name), filepath.Join(tree, name)); got != want {
				t.Errorf("%v: %s is shared: %t", tc.options, name, got)
			}
		}
	}
}

func TestTreeThatCannotBeMadeAContainersOwn(t *testing.T) {
	u := &upstream{}
	m := Merge(u, &Manager{tasks: map[key]*task{}, pods: newPods()})
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := m.Create(namespaces.WithNamespace(t.Context(), "test"), "a", runtime.CreateOpts{
		Runtime: "io.containerd.runc.v2", Rootfs: []mount.Mount{{Type: "bind", Source: missing}},
	})
	if err == nil || !strings.Contains(err.Error(), `creating task "a"`) || !strings.Contains(err.Error(), missing) || len(u.calls) != 0 {
		t.Errorf("got %v, upstream was asked to %v", err, u.calls)
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
