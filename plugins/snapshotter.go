// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/platforms"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"

	"github.com/containerd-wasm/containerd-wasm/cri"
	"github.com/containerd-wasm/containerd-wasm/snapshotter"
)

// SnapshotterConfig is the configuration of the plugin
// io.containerd.snapshotter.v1.wasm.
type SnapshotterConfig struct {
	// RootPath is the absolute path of the snapshotter's directory. Empty means
	// io.containerd.snapshotter.v1.wasm in containerd's own root.
	RootPath string `toml:"root_path"`
}

// capaOnlyRemapIDs tells clients not to change the owners of a snapshot's files
// for a user namespace: modules are shared between snapshots.
const capaOnlyRemapIDs = "only-remap-ids"

func init() {
	registry.Register(&plugin.Registration{
		Type:   plugins.SnapshotPlugin,
		ID:     Wasm,
		Config: &SnapshotterConfig{},
		InitFn: initSnapshotter,
	})
}

// initSnapshotter fails as a plugin that is to be skipped: any other failure
// of a snapshotter ends upstream's metadata store, and everything with it.
func initSnapshotter(ic *plugin.InitContext) (any, error) {
	s, err := newSnapshotter(ic)
	if err != nil {
		log.G(ic.Context).WithError(err).Error("no snapshotter wasm")
		return nil, fmt.Errorf("%w: %w", err, plugin.ErrSkipPlugin)
	}
	return s, nil
}

func newSnapshotter(ic *plugin.InitContext) (snapshots.Snapshotter, error) {
	config, ok := ic.Config.(*SnapshotterConfig)
	if !ok {
		return nil, errors.New("invalid configuration of the wasm snapshotter")
	}
	root, err := config.parse(ic.Properties[plugins.PropertyRootDir])
	if err != nil {
		return nil, err
	}
	ic.Meta.Platforms = append(ic.Meta.Platforms, platforms.DefaultSpec())
	ic.Meta.Platforms = append(ic.Meta.Platforms, cri.WASIPlatforms...)
	ic.Meta.Capabilities = append(ic.Meta.Capabilities, capaOnlyRemapIDs)
	ic.Meta.Exports[plugins.SnapshotterRootDir] = root
	return snapshotter.New(root)
}

// parse returns InvalidArgument, naming the key.
func (c *SnapshotterConfig) parse(root string) (string, error) {
	switch {
	case c.RootPath == "":
		return root, nil
	case !filepath.IsAbs(c.RootPath):
		return "", fmt.Errorf("root_path %q is not an absolute path: %w", c.RootPath, errdefs.ErrInvalidArgument)
	}
	return c.RootPath, nil
}
