// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/cache"
)

// The cache of compiled code has no configuration. The engine, which is registered
// after it and so made after it, sets it to work.
func init() {
	registry.Register(&plugin.Registration{
		Type:     WasmPlugin,
		ID:       CompilerID,
		Requires: []plugin.Type{plugins.MetadataPlugin},
		InitFn: func(ic *plugin.InitContext) (any, error) {
			db, err := ic.GetSingle(plugins.MetadataPlugin)
			if err != nil {
				return nil, err
			}
			return cache.New(db.(*metadata.DB), Wasm)
		},
	})
}
