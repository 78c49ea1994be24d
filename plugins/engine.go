// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/errdefs"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"github.com/docker/go-units"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

// EngineConfig is the configuration of the plugin io.containerd.wasm.v1.engine.
type EngineConfig struct {
	// CompileTimeout is the longest that compiling one module may take, as a
	// Go duration.
	CompileTimeout string `toml:"compile_timeout"`
	// CompileMemory is what the compiler may use for one module, such as "4GB".
	CompileMemory string `toml:"compile_memory"`
	// MaxModuleSize is the largest module that is accepted, such as "100MB".
	MaxModuleSize string `toml:"max_module_size"`
	// MaxFunctions, MaxTableEntries and MaxSegments are how many functions,
	// entries of tables and of element segments, and segments of elements and
	// data a module may have.
	MaxFunctions    int `toml:"max_functions"`
	MaxTableEntries int `toml:"max_table_entries"`
	MaxSegments     int `toml:"max_segments"`
	// IdleTime is how long a module stays loaded after its last container, as
	// a Go duration.
	IdleTime string `toml:"idle_time"`
	// MaxParallel is how many modules are compiled at once; 0 means half of
	// the CPUs.
	MaxParallel int `toml:"max_parallel"`
}

func init() {
	registry.Register(&plugin.Registration{
		Type: WasmPlugin,
		ID:   EngineID,
		Config: &EngineConfig{
			CompileTimeout:  "2m",
			CompileMemory:   "4GiB",
			MaxModuleSize:   "100MiB",
			MaxFunctions:    500_000,
			MaxTableEntries: 2_000_000,
			MaxSegments:     200_000,
			IdleTime:        "5m",
		},
		InitFn: initEngine,
	})
}

func initEngine(ic *plugin.InitContext) (any, error) {
	c, ok := ic.Config.(*EngineConfig)
	if !ok {
		return nil, errors.New("invalid configuration of the WebAssembly engine")
	}
	timeout, err := parseDuration("compile_timeout", c.CompileTimeout)
	if err != nil {
		return nil, err
	}
	idle, err := parseDuration("idle_time", c.IdleTime)
	if err != nil {
		return nil, err
	}
	memory, err := parseSize("compile_memory", c.CompileMemory)
	if err != nil {
		return nil, err
	}
	moduleSize, err := parseSize("max_module_size", c.MaxModuleSize)
	if err != nil {
		return nil, err
	}
	return engine.New(engine.Config{
		Root:            ic.Properties[plugins.PropertyRootDir],
		CompileTimeout:  timeout,
		CompileMemory:   memory,
		MaxModuleSize:   moduleSize,
		MaxFunctions:    c.MaxFunctions,
		MaxTableEntries: c.MaxTableEntries,
		MaxSegments:     c.MaxSegments,
		IdleTime:        idle,
		MaxParallel:     c.MaxParallel,
	})
}

func parseDuration(key, value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("%s %q is not a duration such as \"2m\": %w", key, value, errdefs.ErrInvalidArgument)
	}
	return d, nil
}

// parseSize reads a number of bytes with a unit: "100MB" and "100MiB" are both
// 100 times 2^20.
func parseSize(key, value string) (int64, error) {
	n, err := units.RAMInBytes(value)
	if err != nil {
		return 0, fmt.Errorf("%s %q is not a size such as \"100MB\": %w", key, value, errdefs.ErrInvalidArgument)
	}
	return n, nil
}
