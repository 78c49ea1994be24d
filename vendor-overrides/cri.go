// SPDX-License-Identifier: Apache-2.0

package overrides

import (
	"fmt"

	"github.com/containerd/plugin"

	"github.com/containerd-wasm/containerd-wasm/plugins"
	"github.com/containerd-wasm/containerd-wasm/runtime"
)

// decorateCRI adds the handler to the default configuration. A configuration
// file changes it as any other handler, by its name.
func decorateCRI(r *plugin.Registration) error {
	const handlers = "[containerd.runtimes.%s]\nruntime_type = %q\nsandboxer = %q\nsnapshotter = %q\ndisable_pause_image_pull = true\ncontainer_annotations = [%q]\n"
	return decode(r, fmt.Sprintf(handlers, plugins.Wasm, runtime.Name, plugins.Wasm, plugins.Wasm, runtime.TerminationAnnotation))
}

// decorateImages has images that are pulled for the handler unpacked into our
// snapshotter.
func decorateImages(r *plugin.Registration) error {
	const handlers = "[runtime_platforms.%s]\nsnapshotter = %q\n"
	return decode(r, fmt.Sprintf(handlers, plugins.Wasm, plugins.Wasm))
}
