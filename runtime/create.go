// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/runtime/cgroup"
	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// newTask makes the guest of a task from what the client asks for.
func (m *Manager) newTask(ctx context.Context, k key, opts runtime.CreateOpts) (*task, error) {
	spec, err := parseSpec(opts)
	if err != nil {
		return nil, err
	}
	root, err := openRootfs(filepath.Join(m.config.State, k.namespace, k.id), spec.Root, opts.Rootfs)
	if err != nil {
		return nil, err
	}
	// The guest has a mount of its own by the time this one goes away.
	defer root.release(ctx)
	if opts.SandboxID != "" && startsLinuxProgram(spec, root) {
		return nil, errLinuxProgram
	}
	js := &jail.Spec{StackSize: m.config.StackSize}
	if err := isolation(js, spec); err != nil {
		return nil, err
	}
	if js.Mounts, err = guestMounts(spec.Mounts); err != nil {
		return nil, err
	}
	js.Rootfs, js.RootfsReadonly, js.RootfsSealed = root.path, spec.Root.Readonly || root.readonly, root.readonly
	module, err := m.loadEntrypoint(ctx, js, spec, root)
	if err != nil {
		return nil, err
	}
	t, err := m.newGuest(ctx, js, module, root, spec, opts.IO)
	if err != nil {
		module.Release()
		return nil, err
	}
	t.key, t.sandbox = k, opts.SandboxID
	return t, nil
}

// newGuest takes over module if it succeeds.
func (m *Manager) newGuest(ctx context.Context, js *jail.Spec, module *engine.Module, root *rootfs, spec *specs.Spec, rio runtime.IO) (*task, error) {
	if err := protectModules(js, root); err != nil {
		return nil, err
	}
	var resources *specs.LinuxResources
	if spec.Linux != nil {
		resources = spec.Linux.Resources
	}
	group, err := m.cgroups.New(resources)
	if err != nil {
		return nil, err
	}
	js.Module, js.Cgroup = module.AST(), group.Join()
	js.InitialMemory = module.Info().MemoryMin * jail.PageSize
	js.Overhead = threadBytes + module.Info().InstanceBytes()
	guest, stdin, err := openGuest(ctx, js, rio)
	if err == nil {
		if err = group.Pin(guest.TID()); err != nil {
			guest.Kill()
			<-guest.Done()
			stdin.end()
		}
	}
	if err != nil {
		deleteGroup(ctx, group)
		return nil, err
	}
	return &task{
		manager: m,
		io:      rio,
		limit:   js.MemoryLimit,
		guest:   guest,
		group:   group,
		stdin:   stdin,
		done:    make(chan struct{}),
		cleanup: func() {
			stdin.end()
			module.Release()
			deleteGroup(context.Background(), group)
		},
	}, nil
}

// threadBytes is what a guest's thread takes of its stacks, and the kernel for it,
// before it runs.
const threadBytes = 64 << 10

// openGuest makes the guest's thread and connects its stdio.
func openGuest(ctx context.Context, js *jail.Spec, rio runtime.IO) (*jail.Guest, *stdinRelay, error) {
	stdio, stdin, err := openStdio(ctx, rio)
	if err != nil {
		return nil, nil, err
	}
	js.Stdio = stdio
	guest, err := jail.New(ctx, js)
	stdin.opened()
	if err != nil {
		stdin.end() // and with it the copying
		return nil, nil, err
	}
	return guest, stdin, nil
}

// deleteGroup is for when the guest's thread is gone.
func deleteGroup(ctx context.Context, group *cgroup.Group) {
	if err := group.Delete(); err != nil {
		log.G(ctx).WithError(err).Error("giving back a guest's cgroup")
	}
}

// parseSpec reads the OCI spec and refuses what no guest can have.
func parseSpec(opts runtime.CreateOpts) (*specs.Spec, error) {
	if opts.Checkpoint != "" {
		return nil, fmt.Errorf("restoring a checkpoint: runtime %s does not support it: %w", Name, errdefs.ErrNotImplemented)
	}
	if opts.Spec == nil {
		return nil, fmt.Errorf("the container has no OCI spec: %w", errdefs.ErrInvalidArgument)
	}
	var spec specs.Spec
	if err := typeurl.UnmarshalTo(opts.Spec, &spec); err != nil {
		return nil, fmt.Errorf("the container's OCI spec: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	if spec.Process == nil || spec.Root == nil {
		return nil, fmt.Errorf("the container's OCI spec has no process or no root: %w", errdefs.ErrInvalidArgument)
	}
	if len(spec.Process.Args) == 0 || spec.Process.Args[0] == "" {
		return nil, fmt.Errorf("no entrypoint: give the path of a module in the image as the command: %w", errdefs.ErrInvalidArgument)
	}
	return &spec, nil
}
