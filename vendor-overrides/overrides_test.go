// SPDX-License-Identifier: Apache-2.0

package overrides

import (
	"reflect"
	"strings"
	"testing"

	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins"
	"github.com/containerd/errdefs"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"github.com/pelletier/go-toml/v2"
)

// withRegistrations runs f on a registry with these plugins, and puts back
// what was there.
func withRegistrations(all []plugin.Registration, f func()) {
	before := registry.Graph(nil)
	defer register(before)
	register(all)
	f()
}

func register(all []plugin.Registration) {
	registry.Reset()
	for _, r := range all {
		registry.Register(&r)
	}
}

func find(t testing.TB, uri string) *plugin.Registration {
	t.Helper()
	for _, r := range registry.Graph(nil) {
		if r.URI() == uri {
			return &r
		}
	}
	t.Fatalf("no plugin %s", uri)
	return nil
}

// TestUpstreamIsDecorated: with the version of containerd in go.mod, every
// decoration finds what it wants.
func TestUpstreamIsDecorated(t *testing.T) {
	withRegistrations(registry.Graph(nil), func() {
		if err := Apply(); err != nil {
			t.Fatal(err)
		}
		for uri, want := range map[string][]string{
			"io.containerd.cri.v1.runtime": {
				"[containerd.runtimes.runc]\n", "[containerd.runtimes.wasm]\nruntime_type = 'io.containerd.wasmedge.v1'",
				"sandboxer = 'wasm'", "snapshotter = 'wasm'", "disable_pause_image_pull = true",
				"container_annotations = ['io.kubernetes.container.terminationMessagePath']",
			},
			"io.containerd.cri.v1.images":     {"[runtime_platforms.wasm]\nplatform = ''\nsnapshotter = 'wasm'"},
			"io.containerd.transfer.v1.local": {"snapshotter = 'overlayfs'", "snapshotter = 'erofs'", "platform = 'wasi/wasm'\nsnapshotter = 'wasm'"},
		} {
			b, err := toml.Marshal(find(t, uri).Config)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range want {
				if !strings.Contains(string(b), text) {
					t.Errorf("the default configuration of %s lacks %q:\n%s", uri, text, b)
				}
			}
		}
	})
}

func TestMissingPluginIsNamed(t *testing.T) {
	for uri := range decorators {
		var rest []plugin.Registration
		for _, r := range registry.Graph(nil) {
			if r.URI() != uri {
				rest = append(rest, r)
			}
		}
		withRegistrations(rest, func() {
			if err := Apply(); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), uri) {
				t.Errorf("without %s: got %v", uri, err)
			}
		})
	}
}

func TestChangedConfigurationIsNamed(t *testing.T) {
	type config struct {
		Other string `toml:"other"`
	}
	for desc, c := range map[string]any{"another key": &config{}, "none": nil, "no pointer": config{}} {
		err := decorateImages(&plugin.Registration{Config: c})
		if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "upstream has changed") {
			t.Errorf("%s: got %v", desc, err)
		}
	}
}

// TestUserConfigurationReplacesUnpackConfig: a list in a configuration file is
// the whole list, as it is for upstream.
func TestUserConfigurationReplacesUnpackConfig(t *testing.T) {
	withRegistrations(registry.Graph(nil), func() {
		r := find(t, "io.containerd.transfer.v1.local")
		if err := decorateTransfer(r); err != nil {
			t.Fatal(err)
		}
		if err := toml.Unmarshal([]byte("[[unpack_config]]\nplatform = 'linux/amd64'\nsnapshotter = 'native'\n"), r.Config); err != nil {
			t.Fatal(err)
		}
		b, err := toml.Marshal(r.Config)
		if err != nil || strings.Count(string(b), "[[unpack_config]]") != 1 {
			t.Fatalf("got %s, %v", b, err)
		}
	})
}

// FuzzDecode: no text ends the daemon with a panic, and what is applied can be
// shown by `containerd config`.
func FuzzDecode(f *testing.F) {
	f.Add("[containerd.runtimes.wasm]\nruntime_type = 'x'\n")
	f.Add("[containerd]\nno_such_key = 1\n")
	f.Add("containerd = 1\n")
	f.Add("[[containerd.runtimes]]\n")
	kind := reflect.TypeOf(find(f, "io.containerd.cri.v1.runtime").Config).Elem()
	f.Fuzz(func(t *testing.T, text string) {
		r := &plugin.Registration{Config: reflect.New(kind).Interface()}
		if err := decode(r, text); err != nil {
			return
		}
		if _, err := toml.Marshal(r.Config); err != nil {
			t.Errorf("%q cannot be shown: %v", text, err)
		}
	})
}
