// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/log"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"

	"github.com/containerd-wasm/containerd-wasm/cri"
	"github.com/containerd-wasm/containerd-wasm/runtime"
)

func init() {
	registry.Register(&plugin.Registration{
		Type: plugins.SandboxControllerPlugin,
		ID:   Wasm,
		Requires: []plugin.Type{
			plugins.CRIServicePlugin,
			plugins.MetadataPlugin,
			WasmPlugin, // which prepares the process for parked threads
		},
		InitFn: initSandbox,
	})
}

func initSandbox(ic *plugin.InitContext) (any, error) {
	upstream, err := ic.GetByID(plugins.CRIServicePlugin, "runtime")
	if err != nil {
		return nil, err
	}
	m, err := ic.GetSingle(plugins.MetadataPlugin)
	if err != nil {
		return nil, err
	}
	c, err := criConfigOf(upstream)
	if err != nil {
		return nil, err
	}
	db := m.(*metadata.DB)
	removeLeftovers(ic.Context, db, c)
	config := cri.Config{
		Root:              c.RootDir,
		RuntimeType:       runtime.Name,
		UnprivilegedPorts: *c.UnprivilegedPorts,
		UnprivilegedICMP:  *c.UnprivilegedICMP,
		Records:           metadata.NewSandboxStore(db),
		Containers:        metadata.NewContainerStore(db),
		Snapshotters:      db.Snapshotters(),
	}
	manager, err := ic.GetByID(WasmPlugin, RuntimeID)
	if err != nil {
		return cri.NewWithout(err, config), nil
	}
	config.Metrics = manager.(*runtime.Manager).SandboxMetrics
	controller := cri.New(config)
	manager.(*runtime.Manager).AskHostPID(controller.HostPID)
	return controller, nil
}

// removeLeftovers leaves what it cannot remove to the next start.
func removeLeftovers(ctx context.Context, db *metadata.DB, c criConfig) {
	l := cri.Leftovers{
		Sandboxes:  metadata.NewSandboxStore(db),
		Containers: metadata.NewContainerStore(db),
		Leases:     metadata.NewLeaseManager(db),
	}
	if *c.NetNSInStateDir {
		l.NetNSDir = filepath.Join(c.StateDir, "netns")
	}
	if err := l.Remove(ctx); err != nil {
		log.G(ctx).WithError(err).Warn("removing what is left of pods that were never made")
	}
}

// criConfig is the part of upstream's CRI configuration that sandboxes share
// with it, under its names in JSON, which upstream logs.
type criConfig struct {
	RootDir           string `json:"rootDir"`
	StateDir          string `json:"stateDir"`
	NetNSInStateDir   *bool  `json:"netnsMountsUnderStateDir"`
	UnprivilegedPorts *bool  `json:"enableUnprivilegedPorts"`
	UnprivilegedICMP  *bool  `json:"enableUnprivilegedICMP"`
}

// criConfigOf reads the configuration of upstream's CRI runtime service, whose
// type is internal: it has a method Config that returns it.
func criConfigOf(service any) (c criConfig, err error) {
	method := reflect.ValueOf(service).MethodByName("Config")
	if !method.IsValid() || method.Type().NumIn() != 0 || method.Type().NumOut() != 1 {
		return c, errors.New("upstream has changed: the CRI runtime service has no method Config")
	}
	b, err := json.Marshal(method.Call(nil)[0].Interface())
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return c, fmt.Errorf("reading the configuration of the CRI runtime service: %w", err)
	}
	if c.RootDir == "" || c.StateDir == "" || c.NetNSInStateDir == nil || c.UnprivilegedPorts == nil || c.UnprivilegedICMP == nil {
		return c, errors.New("upstream has changed: the configuration of the CRI runtime service lacks rootDir, stateDir, netnsMountsUnderStateDir, enableUnprivilegedPorts or enableUnprivilegedICMP")
	}
	return c, nil
}
