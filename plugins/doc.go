// SPDX-License-Identifier: Apache-2.0

// Package plugins registers what this project adds to containerd: the plugins'
// configuration, and how each is made from the others. What they do is in
// packages that know no registry.
package plugins

import "github.com/containerd/plugin"

// WasmPlugin is the type of the plugins that are this project's own kind.
const WasmPlugin plugin.Type = "io.containerd.wasm.v1"

// Ids of plugins of type WasmPlugin.
const (
	CompilerID = "compiler" // provides *cache.Store
	EngineID   = "engine"   // provides *engine.Engine
	RuntimeID  = "runtime"  // provides *runtime.Manager
)

// Wasm is the id of the snapshotter, the sandbox controller and the CRI
// runtime handler.
const Wasm = "wasm"
