// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"errors"
	"fmt"

	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/errdefs"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"

	"github.com/containerd-wasm/containerd-wasm/runtime"
	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

// RuntimeConfig is the configuration of the plugin io.containerd.wasm.v1.runtime.
type RuntimeConfig struct {
	// StackSize is the native call stack of a guest, such as "8MiB". Only the
	// part that a guest uses takes memory.
	StackSize string `toml:"stack_size"`
	// MaxMemory is what all guests may have together, such as "8GiB"; empty
	// means three quarters of the host's memory.
	MaxMemory string `toml:"max_memory"`
	// MaxGuests is how many guests and pods there may be; 0 means as many as
	// vm.max_map_count has room for.
	MaxGuests int `toml:"max_guests"`
	// LinuxRuntime is the runtime of Linux containers in WebAssembly pods.
	LinuxRuntime string `toml:"linux_runtime"`
}

func init() {
	registry.Register(&plugin.Registration{
		Type:     WasmPlugin,
		ID:       RuntimeID,
		Requires: []plugin.Type{plugins.EventPlugin},
		Config:   &RuntimeConfig{StackSize: "8MiB", LinuxRuntime: plugins.RuntimeRuncV2},
		InitFn:   initRuntime,
	})
}

func initRuntime(ic *plugin.InitContext) (any, error) {
	c, ok := ic.Config.(*RuntimeConfig)
	if !ok {
		return nil, errors.New("invalid configuration of the WebAssembly runtime")
	}
	config, err := c.parse(ic.Properties[plugins.PropertyStateDir])
	if err != nil {
		return nil, err
	}
	e, err := ic.GetByID(WasmPlugin, EngineID)
	if err != nil {
		return nil, err
	}
	publisher, err := ic.GetSingle(plugins.EventPlugin)
	if err != nil {
		return nil, err
	}
	return runtime.NewManager(ic.Context, config, e.(*engine.Engine), publisher.(events.Publisher))
}

// parse returns InvalidArgument, naming the key.
func (c *RuntimeConfig) parse(state string) (runtime.Config, error) {
	config := runtime.Config{State: state, MaxGuests: c.MaxGuests, LinuxRuntime: c.LinuxRuntime}
	stackSize, err := parseSize("stack_size", c.StackSize)
	if err != nil {
		return config, err
	}
	config.StackSize = uint64(stackSize)
	if c.MaxMemory != "" {
		maxMemory, err := parseSize("max_memory", c.MaxMemory)
		if err != nil {
			return config, err
		}
		config.MaxMemory = uint64(maxMemory)
	}
	if c.LinuxRuntime == "" || c.LinuxRuntime == runtime.Name {
		return config, fmt.Errorf("linux_runtime %q is not the name of a runtime for Linux containers, such as %q: %w", c.LinuxRuntime, plugins.RuntimeRuncV2, errdefs.ErrInvalidArgument)
	}
	return config, nil
}
