// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
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
// themselves, and so may the kernel, by what is in the directory binfmt.
//
// Errors: InvalidArgument naming what to use instead.
func checkPlace(ctx context.Context, opts runtime.CreateOpts, binfmt string) error {
	if opts.Runtime != runcRuntime || opts.Spec == nil || otherBinary(opts) {
		return nil
	}
	var spec specs.Spec
	if err := typeurl.UnmarshalTo(opts.Spec, &spec); err != nil {
		return nil // upstream says what is wrong with it
	}
	if spec.Process == nil || len(spec.Process.Args) == 0 || !startsModule(ctx, opts.Rootfs, &spec) ||
		hasInterpreter(binfmt, spec.Process.Args[0]) {
		return nil
	}
	return fmt.Errorf("entrypoint %q is a WebAssembly module, which runc cannot run: "+
		"use a RuntimeClass with the handler \"wasm\" for the pod, or the runtime %s: %w", spec.Process.Args[0], Name, errdefs.ErrInvalidArgument)
}

// startsModule says whether the entrypoint is a module. Mounting the root costs more
// than all containers should pay, so the directories that it is made of are looked at.
// A root of another kind is mounted only if the entrypoint's name says what it is.
func startsModule(ctx context.Context, rootfs []mount.Mount, spec *specs.Spec) (found bool) {
	if layers := layersOf(rootfs); layers != nil {
		return moduleIn(layers, spec)
	}
	if namesModule(spec.Process.Args[0]) {
		look := func(root string) error {
			found = moduleIn([]string{root}, spec)
			return nil
		}
		// What cannot be mounted is upstream's to report.
		_ = mount.WithReadonlyTempMount(ctx, rootfs, look)
	}
	return found
}

// layersOf are the directories that a root is made of, the topmost first; nil: it is not
// made of directories.
func layersOf(rootfs []mount.Mount) (layers []string) {
	if len(rootfs) != 1 {
		return nil
	}
	m := rootfs[0]
	switch m.Type {
	case "bind":
		return []string{m.Source}
	case "overlay":
		for _, prefix := range []string{"upperdir=", "lowerdir="} {
			for _, o := range m.Options {
				if dirs, ok := strings.CutPrefix(o, prefix); ok {
					layers = append(layers, strings.Split(dirs, ":")...)
				}
			}
		}
	}
	return layers
}

// moduleIn looks for the first file that runc would find, or could without the name of a
// function, and says whether it is a module. It does not look into volumes, and knows no
// symlink from one layer to another: there runc's error has to do.
func moduleIn(layers []string, spec *specs.Spec) bool {
	for _, name := range namesForRunc(spec.Process) {
		if isCovered(name, spec.Mounts) {
			return false
		}
		if f := openInLayers(layers, name); f != nil {
			defer f.Close()
			return isModuleFile(f)
		}
	}
	return false
}

// openInLayers opens a regular file in the topmost layer that has something of the name;
// nil: there is none.
func openInLayers(layers []string, name string) *os.File {
	for _, dir := range layers {
		f, err := openInGuest(&jail.Spec{Rootfs: dir}, name)
		switch {
		case isMissing(err):
		case err != nil: // such as a whiteout
			return nil
		case isDir(f):
			f.Close()
			return nil
		default:
			return f
		}
	}
	return nil
}

// namesForRunc are the paths at which runc looks for args[0], and for what is before a #
// in it; it adds no ".wasm".
func namesForRunc(p *specs.Process) (names []string) {
	add := func(name string) {
		if here, elsewhere := pathsOf(name, p); elsewhere == nil {
			names = append(names, here)
		} else {
			names = append(names, elsewhere...)
		}
	}
	add(p.Args[0])
	if module, _, named := strings.Cut(p.Args[0], "#"); named {
		add(module)
	}
	return names[:min(len(names), maxNames)]
}

// isCovered says whether something is mounted on a path, or above it.
func isCovered(name string, mounts []specs.Mount) bool {
	return slices.ContainsFunc(mounts, func(m specs.Mount) bool {
		return strings.HasPrefix(name+"/", path.Join("/", m.Destination)+"/")
	})
}

// maxNames is far above what any image needs: each is looked up in each layer.
const maxNames = 100

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
