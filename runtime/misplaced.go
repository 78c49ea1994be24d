// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// checkPlace refuses a module that runc is to run: all that its container would say
// is "exec format error". Other OCI runtimes, such as crun, may run modules
// themselves. The entrypoint is looked at only if its name says that it is one.
//
// Errors: InvalidArgument naming what to use instead.
func checkPlace(ctx context.Context, opts runtime.CreateOpts) error {
	if opts.Runtime != runcRuntime || opts.Spec == nil || otherBinary(opts) {
		return nil
	}
	var spec specs.Spec
	if err := typeurl.UnmarshalTo(opts.Spec, &spec); err != nil {
		return nil // upstream says what is wrong with it
	}
	if spec.Process == nil || len(spec.Process.Args) == 0 || !namesModule(spec.Process.Args[0]) {
		return nil
	}
	found := false
	look := func(root string) error {
		e, err := locateEntrypoint(&jail.Spec{Rootfs: root}, spec.Process)
		if err == nil {
			found = isModuleFile(e.file)
			e.file.Close()
		}
		return nil
	}
	// What cannot be mounted is upstream's to report.
	_ = mount.WithReadonlyTempMount(ctx, opts.Rootfs, look)
	if !found {
		return nil
	}
	return fmt.Errorf("entrypoint %q is a WebAssembly module, which runc cannot run: "+
		"use a RuntimeClass with the handler \"wasm\" for the pod, or the runtime %s: %w", spec.Process.Args[0], Name, errdefs.ErrInvalidArgument)
}

// namesModule says whether an entrypoint looks like a module's, also with a function.
func namesModule(entrypoint string) bool {
	module, _, _ := strings.Cut(entrypoint, "#")
	return strings.HasSuffix(module, ".wasm") || strings.HasSuffix(entrypoint, ".wasm")
}

// otherBinary says whether the options name an OCI runtime that is not runc.
func otherBinary(opts runtime.CreateOpts) bool {
	given := opts.TaskOptions
	if given == nil || given.GetValue() == nil {
		given = opts.RuntimeOptions
	}
	var o options.Options
	if given == nil || given.GetValue() == nil || typeurl.UnmarshalTo(given, &o) != nil {
		return false
	}
	return o.GetBinaryName() != "" && filepath.Base(o.GetBinaryName()) != "runc"
}
