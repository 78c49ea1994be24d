// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/snapshotter"
)

// Pods of our handler may have Linux containers too: init containers, sidecars,
// debuggers. CRI asks for all containers of a pod with the pod's runtime, so it is
// what the entrypoint is that decides:
//
//	Create, runtime Name --> a module                   --> ours
//	                     \-> ELF file or script, in a pod --> upstream's, runtime LinuxRuntime
//
// From then on a Linux container is a task of upstream's, in a shim, also for exec,
// statistics and after a restart of the daemon.

// errLinuxProgram is for a container of a pod whose entrypoint is a program for
// Linux. Its text is seen where there is nobody to hand it to.
var errLinuxProgram = fmt.Errorf("the entrypoint is a program for Linux: %w", errdefs.ErrInvalidArgument)

// startsLinuxProgram says whether the entrypoint is an ELF file or a script. What
// cannot be found or read is not: the guest's error is the better one.
func startsLinuxProgram(spec *specs.Spec, root *rootfs) bool {
	js := &jail.Spec{Rootfs: root.path}
	for _, m := range spec.Mounts {
		if isBind(m) {
			js.Mounts = append(js.Mounts, jail.Mount{Source: m.Source, Target: path.Clean(m.Destination)})
		}
	}
	e, err := locateEntrypoint(js, spec.Process)
	if err != nil {
		return false
	}
	defer e.file.Close()
	return e.function == engine.CommandEntry && isLinuxProgram(e.file)
}

func isLinuxProgram(f io.ReaderAt) bool {
	head := headOf(f)
	return head == "\x7fELF" || strings.HasPrefix(head, "#!")
}

func isModuleFile(f io.ReaderAt) bool { return headOf(f) == snapshotter.ModuleMagic }

// headOf is what a file begins with, four bytes at most; of one that cannot be read,
// nothing.
func headOf(f io.ReaderAt) string {
	head := make([]byte, len(snapshotter.ModuleMagic))
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	return string(head[:n])
}

// createLinux makes a Linux container of a pod of ours, in the pod's namespaces.
func (m *mergedRuntime) createLinux(ctx context.Context, id string, opts runtime.CreateOpts) (runtime.Task, error) {
	sandbox := opts.SandboxID
	hostPID := m.wasm.hostPID != nil && m.wasm.hostPID(sandbox)
	opts, err := linuxOpts(opts, m.wasm.config.LinuxRuntime, hostPID)
	if err != nil {
		return nil, fmt.Errorf("creating Linux container %q: %w", id, err)
	}
	log.G(ctx).WithField("id", id).WithField("runtime", opts.Runtime).Debug("a Linux container in a WebAssembly pod")
	t, err := createUpstream(ctx, m.upstream, id, opts)
	if err == nil {
		m.wasm.linuxCreated(ctx, sandbox, id)
	}
	return t, err
}

// runcRuntime is the runtime whose options are known here.
const runcRuntime = plugins.RuntimeRuncV2

// AskHostPID tells the manager whom to ask whether Linux containers of a sandbox are
// to see all processes of the node. It is called before there are requests; without
// it they never do.
func (m *Manager) AskHostPID(of func(sandbox string) bool) { m.hostPID = of }

// linuxOpts is what upstream is asked for in place of opts.
func linuxOpts(opts runtime.CreateOpts, name string, hostPID bool) (runtime.CreateOpts, error) {
	var spec specs.Spec
	if err := typeurl.UnmarshalTo(opts.Spec, &spec); err != nil {
		return opts, fmt.Errorf("the container's OCI spec: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	opts.Runtime = name
	// The sandbox has no shim that the container could be in. Containers of one pod
	// share one all the same, by the pod's id in their annotations.
	opts.SandboxID, opts.Address = "", ""
	opts.TaskOptions, opts.RuntimeOptions = nil, nil
	if name == runcRuntime && spec.Linux != nil {
		o, err := typeurl.MarshalAny(&options.Options{SystemdCgroup: isSystemdCgroup(spec.Linux.CgroupsPath)})
		if err != nil {
			return opts, err
		}
		opts.RuntimeOptions = o
	}
	if !hostPID {
		if err := ownPIDNamespace(&spec); err != nil {
			return opts, err
		}
	}
	var err error
	opts.Spec, err = typeurl.MarshalAny(&spec)
	return opts, err
}

// isSystemdCgroup tells the two forms of CRI's cgroup paths apart: SLICE:PREFIX:NAME
// is for systemd's driver.
func isSystemdCgroup(group string) bool { return strings.Count(group, ":") == 2 }

// ownPIDNamespace gives a container a PID namespace of its own in place of that of a
// guest or of the pod's parked thread, which is the daemon's: the container would see
// all processes of the node.
func ownPIDNamespace(spec *specs.Spec) error {
	if spec.Linux == nil {
		return nil
	}
	var ours unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &ours); err != nil {
		return &os.PathError{Op: "stat", Path: "/proc/self/ns/pid", Err: err}
	}
	for i, ns := range spec.Linux.Namespaces {
		if ns.Type != specs.PIDNamespace || ns.Path == "" {
			continue
		}
		var st unix.Stat_t
		if err := unix.Stat(ns.Path, &st); err != nil {
			return fmt.Errorf("PID namespace %q: %w: %w", ns.Path, err, errdefs.ErrNotFound)
		}
		if st.Dev == ours.Dev && st.Ino == ours.Ino {
			spec.Linux.Namespaces[i].Path = ""
		}
	}
	return nil
}
