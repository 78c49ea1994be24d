// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/runtime/cgroup"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/runtime/telemetry"
)

// newTask makes the guest of a task from what the client asks for.
func (m *Manager) newTask(ctx context.Context, k key, opts runtime.CreateOpts) (*task, error) {
	spec, err := parseSpec(opts)
	if err != nil {
		return nil, err
	}
	_, end := telemetry.Stage(ctx, telemetry.StageRoot)
	root, err := openRootfs(filepath.Join(m.config.State, k.namespace, k.id), spec.Root, opts.Rootfs)
	end(err)
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
	volumes, err := openVolumes(spec.Mounts, js.MemoryLimit)
	if err != nil {
		return nil, err
	}
	defer volumes.close()
	if js.Mounts, err = volumes.covered(); err != nil {
		return nil, err
	}
	js.Termination = terminationFile(spec)
	js.Rootfs, js.RootfsReadonly, js.RootfsSealed = root.path, spec.Root.Readonly || root.readonly, root.readonly
	t := &task{manager: m, key: k, sandbox: opts.SandboxID, tenant: spec.Annotations[sandboxNamespace], execs: newExecs()}
	t.limit.Store(js.MemoryLimit)
	isSealed := func(f *os.File) bool {
		if !sealed(f, js, root) {
			return false
		}
		t.sealed, _ = f.Stat() // which sealed did as well
		return true
	}
	if t.module, err = m.loadEntrypoint(ctx, t.use(), js, spec.Process, isSealed); err != nil {
		return nil, err
	}
	// Again: that may have taken minutes.
	if js.Mounts, err = volumes.covered(); err == nil {
		err = protectModules(ctx, js, root)
	}
	if err == nil {
		err = m.newGuest(ctx, t, js, spec, opts.IO)
	}
	if err != nil {
		t.module.Release()
		return nil, err
	}
	return t, nil
}

// newGuest makes the process of a task.
func (m *Manager) newGuest(ctx context.Context, t *task, js *jail.Spec, spec *specs.Spec, rio runtime.IO) error {
	var resources *specs.LinuxResources
	if spec.Linux != nil {
		resources = spec.Linux.Resources
	}
	group, err := m.cgroups.New(resources)
	if err != nil {
		return err
	}
	guest, stdio, err := openGuest(ctx, js, spec.Process, rio, group)
	if err != nil {
		deleteGroup(ctx, group)
		return err
	}
	t.process = newProcess(fmt.Sprintf("task %q", t.key.id), guest, stdio, group)
	t.confined = jail.Spec{StackSize: js.StackSize, MaxFiles: js.MaxFiles, AppArmor: js.AppArmor, Seccomp: js.Seccomp}
	stdio.begin(func(signal uint32) { _ = t.Kill(context.Background(), signal, false) })
	return nil
}

// openGuest makes the thread of a process, in its group, with its stdio.
func openGuest(ctx context.Context, js *jail.Spec, p *specs.Process, rio runtime.IO, group *cgroup.Group) (*jail.Guest, *stdio, error) {
	defer awaitReaders(ctx, rio)()
	stdio, err := openStdio(p, rio)
	if err != nil {
		return nil, nil, err
	}
	js.Stdio, js.Cgroup = stdio.files, group.Join()
	_, end := telemetry.Stage(ctx, telemetry.StageIsolate)
	guest, err := jail.New(ctx, js)
	end(err)
	if err != nil {
		stdio.abandon()
		return nil, nil, err
	}
	if err := group.Pin(guest.TID(), js.Cgroup); err != nil {
		guest.Kill()
		<-guest.Done()
		stdio.abandon()
		return nil, nil, err
	}
	return guest, stdio, nil
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
