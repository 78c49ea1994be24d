// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"math"
	"path/filepath"
	"testing"

	srvconfig "github.com/containerd/containerd/v2/cmd/containerd/server/config"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/plugin/registry"
	"github.com/pelletier/go-toml/v2"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

// defaults returns a copy of a plugin's default configuration.
func defaults[T any](tb testing.TB, uri string) *T {
	tb.Helper()
	for _, r := range registry.Graph(nil) {
		if r.URI() == uri {
			c := *r.Config.(*T)
			return &c
		}
	}
	tb.Fatalf("no plugin %s", uri)
	return nil
}

const (
	engineURI      = "io.containerd.wasm.v1.engine"
	runtimeURI     = "io.containerd.wasm.v1.runtime"
	snapshotterURI = "io.containerd.snapshotter.v1.wasm"
)

// FuzzConfig: a configuration file is refused, with an error of a class that names
// what is wrong, or every number and path in it is one that was asked for.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		"",
		"[plugins.'" + engineURI + "']\ncompile_timeout = '1m'\ncompile_memory = '1GiB'\nmax_module_size = '1MB'\nidle_time = '0s'\nmax_parallel = 1\n",
		"[plugins.'" + engineURI + "']\ncompile_timeout = '-1s'\nmax_parallel = -9223372036854775808\nunknown = [1]\n",
		"[plugins.'" + engineURI + "']\ncompile_timeout = '99999999h'\ncompile_memory = '1e300'\nmax_module_size = '8EiB'\n",
		"[plugins.'" + runtimeURI + "']\nstack_size = '9223372036854775807'\nmax_memory = '9999999PiB'\nmax_guests = 5\n",
		"[plugins.'" + runtimeURI + "']\nstack_size = 8\n",
		"[plugins.'" + snapshotterURI + "']\nroot_path = '/var/lib/../x'\n",
		"[plugins.'" + snapshotterURI + "']\nroot_path = '../x'\n",
	} {
		f.Add(text)
	}
	if err := log.SetLevel("panic"); err != nil { // of unknown keys
		f.Fatal(err)
	}
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		var file srvconfig.Config
		if toml.Unmarshal([]byte(text), &file) != nil {
			return
		}
		if c, err := file.Decode(t.Context(), engineURI, defaults[EngineConfig](t, engineURI)); err == nil {
			checkEngine(t, c.(*EngineConfig), root)
		}
		if c, err := file.Decode(t.Context(), runtimeURI, defaults[RuntimeConfig](t, runtimeURI)); err == nil {
			checkRuntime(t, c.(*RuntimeConfig))
		}
		if c, err := file.Decode(t.Context(), snapshotterURI, defaults[SnapshotterConfig](t, snapshotterURI)); err == nil {
			checkSnapshotter(t, c.(*SnapshotterConfig))
		}
	})
}

func checkEngine(t *testing.T, c *EngineConfig, root string) {
	t.Helper()
	config, err := c.parse(root)
	if err == nil && (config.CompileMemory < 0 || config.MaxModuleSize < 0 || config.CompileMemory == math.MaxInt64) {
		t.Errorf("%+v became %+v", c, config)
	}
	if err != nil {
		if !errdefs.IsInvalidArgument(err) {
			t.Errorf("%+v: %v", c, err)
		}
		return
	}
	e, err := engine.New(config)
	if err == nil {
		e.Close()
	} else if !errdefs.IsInvalidArgument(err) {
		t.Errorf("%+v: %v", config, err)
	}
}

func checkRuntime(t *testing.T, c *RuntimeConfig) {
	t.Helper()
	config, err := c.parse(t.Name())
	if err == nil && (config.MaxMemory >= math.MaxInt64 || config.StackSize >= math.MaxInt64) {
		t.Errorf("%+v became %+v", c, config)
	}
	if err != nil && !errdefs.IsInvalidArgument(err) {
		t.Errorf("%+v: %v", c, err)
	}
}

func checkSnapshotter(t *testing.T, c *SnapshotterConfig) {
	t.Helper()
	root, err := c.parse("/default")
	switch {
	case err != nil && !errdefs.IsInvalidArgument(err):
		t.Errorf("%+v: %v", c, err)
	case err == nil && !filepath.IsAbs(root) || c.RootPath == "" && root != "/default":
		t.Errorf("%+v became %q, %v", c, root, err)
	}
}
