// SPDX-License-Identifier: Apache-2.0

package overrides

import (
	"fmt"
	"strings"

	"github.com/containerd/containerd/v2/core/transfer"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/platforms"
	"github.com/containerd/plugin"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/containerd-wasm/containerd-wasm/cri"
	"github.com/containerd-wasm/containerd-wasm/plugins"
)

// decorateTransfer adds our snapshotter to those that images are unpacked
// into. A configuration that lists any replaces upstream's own default, so
// that is repeated here: overlayfs, and erofs where there is one. It also has
// images for WASI unpacked when nobody asks for it.
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
	// Images of modules are built for the host's platform or one of WASI's.
	for _, platform := range append([]imagespec.Platform{host}, cri.WASIPlatforms...) {
		add(platforms.Format(platform), plugins.Wasm, defaults.DefaultDiffer, true)
	}
	initUpstream := r.InitFn
	r.InitFn = func(ic *plugin.InitContext) (any, error) {
		v, err := initUpstream(ic)
		if err != nil {
			return nil, err
		}
		theirs, ok := v.(transfer.Transferrer)
		if !ok {
			return nil, fmt.Errorf("upstream has changed: its transfer service is a %T", v)
		}
		return cri.UnpackWASI(theirs, plugins.Wasm), nil
	}
	return decode(r, b.String())
}
