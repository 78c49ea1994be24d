// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"slices"
	"testing"

	apitypes "github.com/containerd/containerd/api/types"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go/features"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

func TestIntrospectionKnowsOurRuntime(t *testing.T) {
	m := Merge(&upstream{}, &Manager{tasks: map[key]*task{}, pods: newPods()}).(pluginInfoProvider)
	got, err := m.PluginInfo(t.Context(), &apitypes.RuntimeRequest{RuntimePath: Name})
	if err != nil {
		t.Fatal(err)
	}
	info, ok := got.(*apitypes.RuntimeInfo)
	if !ok || info.GetName() != Name {
		t.Fatalf("got %v", got)
	}
	f, err := typeurl.UnmarshalAny(info.GetFeatures())
	if err != nil {
		t.Fatal(err)
	}
	// A feature that CRI takes for granted without asking would be one too many.
	if f := f.(*features.Features); !slices.Contains(f.MountOptions, "rro") || f.Linux != nil {
		t.Errorf("features: %+v", f)
	}
	for _, other := range []any{nil, &apitypes.RuntimeRequest{RuntimePath: "io.containerd.runc.v2"}} {
		if got, err := m.PluginInfo(t.Context(), other); err != nil || got != "info" {
			t.Errorf("about %v: %v, %v", other, got, err)
		}
	}
}

func TestRuntimeThatDidNotStartHasNoFeatures(t *testing.T) {
	m := Without(&upstream{}, errors.New("no engine")).(pluginInfoProvider)
	if got, err := m.PluginInfo(t.Context(), &apitypes.RuntimeRequest{RuntimePath: Name}); err != nil || got != "info" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestListedMountOptionsAreKnown(t *testing.T) {
	for _, option := range mountOptions {
		if handled, err := mountOption(&jail.Mount{}, option); !handled || err != nil {
			t.Errorf("%s: %t, %v", option, handled, err)
		}
	}
}
