// SPDX-License-Identifier: Apache-2.0

// Package overrides changes some of upstream containerd's own plugins from
// outside: it decorates their registrations after upstream's init functions
// made them and before the daemon reads them. It is the only package that
// touches upstream's registrations, and nothing of upstream is copied, patched
// or forked for it.
//
//	io.containerd.runtime.v2.task    also runs our runtime's tasks     task.go
//	io.containerd.cri.v1.runtime     has a handler "wasm" by default   cri.go
//	io.containerd.cri.v1.images      pulls for it into our snapshotter cri.go
//	io.containerd.grpc.v1.cri        passes calls on to ours           criservice.go
//	io.containerd.transfer.v1.local  unpacks into our snapshotter      transfer.go
package overrides

import (
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
)

// decorators are what Apply changes, by the URI of the plugin.
var decorators = map[string]func(*plugin.Registration) error{
	"io.containerd.runtime.v2.task":   decorateTask,
	"io.containerd.cri.v1.runtime":    decorateCRI,
	"io.containerd.cri.v1.images":     decorateImages,
	"io.containerd.grpc.v1.cri":       decorateCRIService,
	"io.containerd.transfer.v1.local": decorateTransfer,
}

// Apply decorates upstream's plugins. It must run once, after every init
// function and before the daemon starts.
//
// Errors: NotFound naming a plugin that upstream no longer has, or what in it
// has changed.
func Apply() error {
	all := registry.Graph(nil)
	registry.Reset()
	found := make(map[string]bool)
	for _, r := range all {
		if decorate, ok := decorators[r.URI()]; ok {
			found[r.URI()] = true
			if err := decorate(&r); err != nil {
				return fmt.Errorf("decorating upstream's plugin %s: %w", r.URI(), err)
			}
		}
		registry.Register(&r)
	}
	for uri := range decorators {
		if !found[uri] {
			return fmt.Errorf("upstream's plugin %s, which this daemon decorates, is not in this build: %w", uri, errdefs.ErrNotFound)
		}
	}
	return nil
}
