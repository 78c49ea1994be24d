// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	eventstypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/containerd/v2/core/events/exchange"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"github.com/docker/go-units"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	"github.com/containerd-wasm/containerd-wasm/runtime/engine/cache"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/runtime/telemetry"
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
	// MaxParallel is how many modules are compiled at once for starts that wait;
	// 0 means half of the CPUs.
	MaxParallel int `toml:"max_parallel"`
	// Optimize is the level to which modules are optimized in the background,
	// from "1" to "3"; "0" or "off": they are not.
	Optimize string `toml:"optimize"`
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
			Optimize:        "2",
		},
		Requires: []plugin.Type{plugins.EventPlugin},
		InitFn:   initEngine,
	})
}

func initEngine(ic *plugin.InitContext) (any, error) {
	c, ok := ic.Config.(*EngineConfig)
	if !ok {
		return nil, errors.New("invalid configuration of the WebAssembly engine")
	}
	config, err := c.parse(ic.Properties[plugins.PropertyRootDir])
	if err != nil {
		return nil, err
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	v, err := ic.GetByID(WasmPlugin, CompilerID)
	if err != nil {
		return nil, err
	}
	bus, err := ic.GetSingle(plugins.EventPlugin)
	if err != nil {
		return nil, err
	}
	store, events := v.(*cache.Store), bus.(*exchange.Exchange)
	config.Store, config.Budget = store, jail.Budget{}
	config.OnWait = func(w engine.Wait) { announce(ic.Context, store, events, w) }
	e, err := engine.New(config)
	if err != nil {
		return nil, err
	}
	if err := telemetry.RegisterEngine(prometheus.DefaultRegisterer, e.Stats); err != nil {
		return nil, fmt.Errorf("registering the engine's metrics: %w", err)
	}
	store.Start(e, events, engine.Tier0, config.Optimize)
	return e, nil
}

// CompileWaitTopic is that of the event that a start waits for its module to be
// compiled. Clients decode it as what it is most like.
const CompileWaitTopic = "/wasm/compile-wait"

// announce tells operators and clients of a start that waits. That the module was
// compiled, they learn from the content store.
func announce(ctx context.Context, store *cache.Store, p events.Publisher, w engine.Wait) {
	if w.Namespace == "" {
		return
	}
	ctx = namespaces.WithNamespace(ctx, w.Namespace)
	log.G(ctx).WithField("namespace", w.Namespace).WithField("container", w.Container).WithField("image", store.Image(w.Namespace, w.Container)).
		WithField("name", w.Name).WithField("module", w.Module).Info("a start waits for its module to be compiled")
	err := p.Publish(ctx, CompileWaitTopic, &eventstypes.ContentCreate{Digest: w.Module.String(), MediaType: "application/wasm"})
	if err != nil {
		log.G(ctx).WithError(err).Warn("telling that a start waits for its module to be compiled")
	}
}

// parse returns InvalidArgument, naming the key.
func (c *EngineConfig) parse(root string) (config engine.Config, err error) {
	config.Root, config.MaxParallel = root, c.MaxParallel
	config.MaxFunctions, config.MaxTableEntries, config.MaxSegments = c.MaxFunctions, c.MaxTableEntries, c.MaxSegments
	if config.CompileTimeout, err = parseDuration("compile_timeout", c.CompileTimeout); err != nil {
		return config, err
	}
	if config.IdleTime, err = parseDuration("idle_time", c.IdleTime); err != nil {
		return config, err
	}
	if config.CompileMemory, err = parseSize("compile_memory", c.CompileMemory); err != nil {
		return config, err
	}
	if config.MaxModuleSize, err = parseSize("max_module_size", c.MaxModuleSize); err != nil {
		return config, err
	}
	if config.Optimize, err = engine.ParseTier(c.Optimize); err != nil {
		return config, fmt.Errorf("optimize %w", err)
	}
	return config, nil
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
	// More than 63 bits become some negative number, or the largest.
	if err != nil || n < 0 || n == math.MaxInt64 {
		return 0, fmt.Errorf("%s %q is not a size such as \"100MB\": %w", key, value, errdefs.ErrInvalidArgument)
	}
	return n, nil
}
