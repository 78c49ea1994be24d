// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

const defaultUmask = 0o022

// isolation fills in who the guest is and what it may reach.
//
// Errors: NotImplemented for what a thread cannot have and a guest would be
// less confined without; InvalidArgument.
func isolation(js *jail.Spec, spec *specs.Spec) error {
	if err := identity(js, spec.Process); err != nil {
		return err
	}
	if spec.Linux == nil {
		return nil
	}
	if err := restrict(js, spec.Linux); err != nil {
		return err
	}
	if r := spec.Linux.Resources; r != nil {
		limit, err := newLimit(0, r.Memory)
		if err != nil {
			return err
		}
		js.MemoryLimit = limit
	}
	return joinNamespaces(js, spec.Linux.Namespaces)
}

// newLimit is the memory limit in bytes after what was there before, 0 for none: -1
// lifts it, and 0 leaves it, as in the OCI runtime specification and CRI.
//
// Errors: InvalidArgument.
func newLimit(before uint64, m *specs.LinuxMemory) (uint64, error) {
	switch {
	case m == nil || m.Limit == nil || *m.Limit == 0:
		return before, nil
	case *m.Limit == -1:
		return 0, nil
	case *m.Limit < 0:
		return 0, fmt.Errorf("linux.resources.memory.limit %d: %w", *m.Limit, errdefs.ErrInvalidArgument)
	}
	return uint64(*m.Limit), nil
}

// identity fills in what belongs to a process: of a container, or of an exec,
// for which js already has what the container's own is confined by.
func identity(js *jail.Spec, p *specs.Process) error {
	if err := checkUser(p.User); err != nil {
		return err
	}
	js.UID, js.GID, js.Groups, js.Umask = p.User.UID, p.User.GID, p.User.AdditionalGids, defaultUmask
	if p.User.Umask != nil {
		js.Umask = *p.User.Umask
	}
	js.Env = environment(p)
	caps, err := capabilities(p)
	if err != nil {
		return err
	}
	js.Caps = caps
	return restrictProcess(js, p)
}

// checkUser refuses the id that the kernel takes for "leave it as it is"
// (setresuid(2)), which is root.
func checkUser(u specs.User) error {
	for _, id := range append([]uint32{u.UID, u.GID}, u.AdditionalGids...) {
		if id == math.MaxUint32 {
			return fmt.Errorf("user or group %d: the kernel has no such id: %w", id, errdefs.ErrInvalidArgument)
		}
	}
	return nil
}

// joinNamespaces takes the network namespace. The others separate processes,
// hostnames and System V objects, none of which WASI knows.
func joinNamespaces(js *jail.Spec, all []specs.LinuxNamespace) error {
	seen := make(map[specs.LinuxNamespaceType]bool)
	for _, ns := range all {
		if seen[ns.Type] {
			return fmt.Errorf("two namespaces of type %q: %w", ns.Type, errdefs.ErrInvalidArgument)
		}
		seen[ns.Type] = true
		switch ns.Type {
		case specs.NetworkNamespace:
			js.NetNS, js.NewNetNS = ns.Path, ns.Path == ""
		case specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace, specs.CgroupNamespace, specs.TimeNamespace:
		case specs.UserNamespace:
			return fmt.Errorf("a user namespace: a thread cannot have one: %w", errdefs.ErrNotImplemented)
		default:
			return fmt.Errorf("a namespace of type %q is not known: %w", ns.Type, errdefs.ErrInvalidArgument)
		}
	}
	return nil
}

// environment adds the working directory, which WASI has only as a variable.
func environment(p *specs.Process) []string {
	for _, e := range p.Env {
		if strings.HasPrefix(e, "PWD=") {
			return p.Env
		}
	}
	if p.Cwd == "" {
		return p.Env
	}
	return append(slices.Clip(p.Env), "PWD="+p.Cwd)
}

// capabilityBits maps CAP_CHOWN and so on to its number.
var capabilityBits = sync.OnceValue(func() map[string]uint64 {
	bits := make(map[string]uint64)
	for i := range 64 {
		known, _ := cap.FromBitmap(1 << i)
		for _, name := range known {
			bits[name] = 1 << i
		}
	}
	return bits
})

// ownCapabilities is what the daemon itself has, and so can give.
var ownCapabilities = sync.OnceValues(func() (uint64, error) {
	names, err := cap.Current()
	if err != nil {
		return 0, fmt.Errorf("reading the daemon's capabilities: %w", err)
	}
	var set uint64
	for _, name := range names {
		set |= capabilityBits()[name]
	}
	return set, nil
})

// guestCapabilities are those that a system call which WASI makes asks for.
// The others are never given: they could only undo the jail (seccomp.c in
// package jail relies on that).
var guestCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_RAW",
}

// capabilities is what a program would have after execve: root has the
// effective set, any other user only the ambient one (capabilities(7)); and of
// that, what a guest can use.
func capabilities(p *specs.Process) (uint64, error) {
	if p.Capabilities == nil {
		return 0, nil
	}
	names := p.Capabilities.Effective
	if p.User.UID != 0 {
		names = p.Capabilities.Ambient
	}
	var set uint64
	for _, name := range names {
		bit, ok := capabilityBits()[name]
		if !ok {
			return 0, fmt.Errorf("capability %q: the kernel has none of that name: %w", name, errdefs.ErrInvalidArgument)
		}
		if slices.Contains(guestCapabilities, name) {
			set |= bit
		}
	}
	own, err := ownCapabilities()
	return set & own, err
}
