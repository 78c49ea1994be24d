// SPDX-License-Identifier: Apache-2.0

package overrides

import (
	"fmt"
	"strings"

	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/platforms"
	"github.com/containerd/plugin"

	"github.com/containerd-wasm/containerd-wasm/plugins"
)

// decorateTransfer adds our snapshotter to those that images are unpacked
// into. A configuration that lists any replaces upstream's own default, so
// that is repeated here: overlayfs, and erofs where there is one.
func decorateTransfer(r *plugin.Registration) error {
	host := platforms.DefaultSpec()
	erofs := host
	erofs.OSFeatures = []string{"erofs"}
	var b strings.Builder
	add := func(platform, snapshotter, differ string, optional bool) {
		fmt.Fprintf(&b, "[[unpack_config]]\nplatform = %q\nsnapshotter = %q\ndiffer = %q\noptional = %t\n", platform, snapshotter, differ, optional)
	}
	add(platforms.Format(host), defaults.DefaultSnapshotter, defaults.DefaultDiffer, false)
	add(platforms.FormatAll(erofs), "erofs", "erofs", true)
	// Images of modules are tagged with the platform of the host, or with one
	// of those that build tools have for WASI.
	for _, platform := range []string{platforms.Format(host), "wasi/wasm", "wasip1/wasm"} {
		add(platform, plugins.Wasm, defaults.DefaultDiffer, false)
	}
	return decode(r, b.String())
}
