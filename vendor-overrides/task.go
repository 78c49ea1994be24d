// SPDX-License-Identifier: Apache-2.0

package overrides

import (
	"fmt"

	upstream "github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/log"
	"github.com/containerd/plugin"

	"github.com/containerd-wasm/containerd-wasm/plugins"
	"github.com/containerd-wasm/containerd-wasm/runtime"
)

// decorateTask sets our task manager beside upstream's.
func decorateTask(r *plugin.Registration) error {
	r.Requires = append(r.Requires, plugins.WasmPlugin)
	initUpstream := r.InitFn
	r.InitFn = func(ic *plugin.InitContext) (any, error) {
		v, err := initUpstream(ic)
		if err != nil {
			return nil, err
		}
		theirs, ok := v.(upstream.PlatformRuntime)
		if !ok {
			return nil, fmt.Errorf("upstream has changed: its task manager is a %T", v)
		}
		ours, err := ic.GetByID(plugins.WasmPlugin, plugins.RuntimeID)
		if err != nil {
			// Linux containers are to run all the same.
			log.G(ic.Context).WithError(err).Errorf("no tasks of runtime %s", runtime.Name)
			return runtime.Without(theirs, err), nil
		}
		return runtime.Merge(theirs, ours.(*runtime.Manager)), nil
	}
	return nil
}
