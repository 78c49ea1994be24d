// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/runtime/seccomp"
)

// restrictProcess fills in what of a process confines it further.
//
// Errors: NotImplemented for what cannot hold for a thread, and would leave the
// guest less confined than the spec asks; InvalidArgument.
func restrictProcess(js *jail.Spec, p *specs.Process) error {
	if p.SelinuxLabel != "" {
		return fmt.Errorf("SELinux label %q: a thread cannot have one of its own: %w", p.SelinuxLabel, errdefs.ErrNotImplemented)
	}
	if err := apparmor(js, p.ApparmorProfile); err != nil {
		return err
	}
	return rlimits(js, p.Rlimits)
}

// restrict does the same for the rest of the spec. Errors: likewise.
func restrict(js *jail.Spec, l *specs.Linux) error {
	if err := refuseLinux(l); err != nil {
		return err
	}
	var err error
	if js.Seccomp, err = seccomp.Compile(l.Seccomp); err != nil {
		return err
	}
	if js.Masked, err = hiddenPaths("masked", l.MaskedPaths); err != nil {
		return err
	}
	js.Readonly, err = hiddenPaths("read-only", l.ReadonlyPaths)
	return err
}

// hasAppArmor says whether AppArmor is at work in this kernel.
var hasAppArmor = sync.OnceValue(func() bool {
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && string(enabled) == "Y\n"
})

func apparmor(js *jail.Spec, profile string) error {
	if profile == "" || profile == "unconfined" {
		return nil
	}
	if !hasAppArmor() {
		return fmt.Errorf("AppArmor profile %q: AppArmor is not enabled in this kernel: %w", profile, errdefs.ErrNotImplemented)
	}
	js.AppArmor = profile
	return nil
}

// refuseLinux names what the spec asks for and a thread cannot have.
func refuseLinux(l *specs.Linux) error {
	refused := func(what string) error {
		return fmt.Errorf("%s: guests of runtime %s cannot have it: %w", what, Name, errdefs.ErrNotImplemented)
	}
	switch {
	case len(l.Devices) > 0:
		return refused(fmt.Sprintf("device %q", l.Devices[0].Path))
	case len(l.NetDevices) > 0:
		return refused(fmt.Sprintf("network device %q", slices.Min(slices.Collect(maps.Keys(l.NetDevices)))))
	case l.MemoryPolicy != nil:
		return refused("linux.memoryPolicy")
	case l.IntelRdt != nil:
		return refused("linux.intelRdt")
	case l.Personality != nil && l.Personality.Domain != specs.PerLinux:
		return refused(fmt.Sprintf("personality %q", l.Personality.Domain))
	case l.Resources != nil && l.Resources.Network != nil && l.Resources.Network.ClassID != nil:
		return refused("linux.resources.network.classID")
	}
	return nil
}

// ineffective are limits on what no guest can do: it cannot make processes, lock
// memory, queue signals or change its priority, and leaves no core.
var ineffective = []string{
	"RLIMIT_CORE", "RLIMIT_LOCKS", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_NPROC",
	"RLIMIT_RSS", "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING",
}

// unsupported are limits that package jail does not keep in the kernel's place.
var unsupported = []string{"RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE"}

// rlimits: the kernel has them for whole processes. Package jail keeps two of them
// itself.
func rlimits(js *jail.Spec, limits []specs.POSIXRlimit) error {
	seen := make(map[string]bool)
	for _, l := range limits {
		if seen[l.Type] || l.Soft > l.Hard {
			return fmt.Errorf("rlimit %q is there twice, or its soft limit %d is above its hard limit %d: %w", l.Type, l.Soft, l.Hard, errdefs.ErrInvalidArgument)
		}
		seen[l.Type] = true
		switch {
		case slices.Contains(ineffective, l.Type):
		case l.Type == "RLIMIT_NOFILE":
			// The engine needs stdio and the root.
			js.MaxFiles = min(int(min(max(l.Soft, 4), jail.DefaultMaxFiles)), orDefault(js.MaxFiles))
		case l.Type == "RLIMIT_STACK":
			js.StackSize = min(js.StackSize, max(l.Soft, minStack))
		case !slices.Contains(unsupported, l.Type):
			return fmt.Errorf("rlimit %q is not known: %w", l.Type, errdefs.ErrInvalidArgument)
		case l.Soft != math.MaxUint64:
			return fmt.Errorf("%s: a thread cannot have it; to bound memory, set a memory limit: %w", l.Type, errdefs.ErrNotImplemented)
		}
	}
	return nil
}

// orDefault is what an exec's container has, or the default.
func orDefault(maxFiles int) int {
	if maxFiles == 0 {
		return jail.DefaultMaxFiles
	}
	return maxFiles
}

// maxHidden is far above what any client asks for.
const maxHidden = 1000

func hiddenPaths(kind string, paths []string) ([]string, error) {
	if len(paths) > maxHidden {
		return nil, fmt.Errorf("%d %s paths, more than %d: %w", len(paths), kind, maxHidden, errdefs.ErrInvalidArgument)
	}
	for _, p := range paths {
		if !path.IsAbs(p) || path.Clean(p) == "/" {
			return nil, fmt.Errorf("%s path %q is not an absolute path below /: %w", kind, p, errdefs.ErrInvalidArgument)
		}
	}
	return paths, nil
}
