// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/errdefs"
	"github.com/containerd/plugin"
)

func initContext(t *testing.T, config any) *plugin.InitContext {
	t.Helper()
	ic := plugin.NewContext(t.Context(), plugin.NewPluginSet(), map[string]string{
		plugins.PropertyRootDir: t.TempDir(), plugins.PropertyStateDir: t.TempDir(),
	})
	ic.Config = config
	ic.Meta = &plugin.Meta{Exports: map[string]string{}}
	return ic
}

func TestBadConfigurationNamesTheKey(t *testing.T) {
	good := EngineConfig{
		CompileTimeout: "1m", CompileMemory: "1GiB", MaxModuleSize: "1MiB", IdleTime: "0s",
		MaxFunctions: 1, MaxTableEntries: 1, MaxSegments: 1,
	}
	engine := func(change func(*EngineConfig)) func(*testing.T) error {
		return func(t *testing.T) error {
			c := good
			change(&c)
			_, err := initEngine(initContext(t, &c))
			return err
		}
	}
	for key, try := range map[string]func(*testing.T) error{
		`compile_timeout "soon"`:    engine(func(c *EngineConfig) { c.CompileTimeout = "soon" }),
		`compile_timeout must be`:   engine(func(c *EngineConfig) { c.CompileTimeout = "-1s" }),
		`compile_memory "lots"`:     engine(func(c *EngineConfig) { c.CompileMemory = "lots" }),
		`max_module_size ""`:        engine(func(c *EngineConfig) { c.MaxModuleSize = "" }),
		`max_module_size must be`:   engine(func(c *EngineConfig) { c.MaxModuleSize = "2GiB" }),
		`max_functions must be`:     engine(func(c *EngineConfig) { c.MaxFunctions = 0 }),
		`max_table_entries must be`: engine(func(c *EngineConfig) { c.MaxTableEntries = -1 }),
		`max_segments must be`:      engine(func(c *EngineConfig) { c.MaxSegments = 0 }),
		`idle_time "5"`:             engine(func(c *EngineConfig) { c.IdleTime = "5" }),
		`optimize "fast"`:           engine(func(c *EngineConfig) { c.Optimize = "fast" }),
		`max_parallel must be`:      engine(func(c *EngineConfig) { c.MaxParallel = -1 }),
		`stack_size "big"`: func(t *testing.T) error {
			_, err := initRuntime(initContext(t, &RuntimeConfig{StackSize: "big"}))
			return err
		},
		`root_path "relative"`: func(t *testing.T) error {
			_, err := initSnapshotter(initContext(t, &SnapshotterConfig{RootPath: "relative"}))
			return err
		},
	} {
		if err := try(t); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

func TestUpstreamsCRIConfiguration(t *testing.T) {
	c, err := criConfigOf(service{struct {
		RootDir  string `json:"rootDir"`
		StateDir string `json:"stateDir"`
		NetNS    bool   `json:"netnsMountsUnderStateDir"`
		Ports    bool   `json:"enableUnprivilegedPorts"`
		ICMP     bool   `json:"enableUnprivilegedICMP"`
	}{"/root", "/state", true, true, false}})
	if err != nil || c.RootDir != "/root" || c.StateDir != "/state" || !*c.NetNSInStateDir || !*c.UnprivilegedPorts || *c.UnprivilegedICMP {
		t.Fatalf("got %+v, %v", c, err)
	}
	for _, changed := range []any{service{struct{}{}}, struct{}{}, service{make(chan int)}} {
		if _, err := criConfigOf(changed); err == nil {
			t.Errorf("%T was accepted", changed)
		}
	}
}

// service has the method that upstream's CRI runtime service has.
type service struct{ config any }

func (s service) Config() any { return s.config }
