// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// flagTsync is not of the OCI spec. runc knows it and, as here, does without.
const flagTsync specs.LinuxSeccompFlag = "SECCOMP_FILTER_FLAG_TSYNC"

// architectures are those of the OCI spec. A guest makes the machine's own calls
// only, so the list in a profile is checked, and otherwise without a meaning.
var architectures = []specs.Arch{
	specs.ArchX86, specs.ArchX86_64, specs.ArchX32, specs.ArchARM, specs.ArchAARCH64,
	specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64,
	specs.ArchMIPSEL64N32, specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390,
	specs.ArchS390X, specs.ArchPARISC, specs.ArchPARISC64, specs.ArchRISCV64,
	specs.ArchLOONGARCH64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB,
}

// checkHead checks what a profile says beside its actions and rules.
func checkHead(s *specs.LinuxSeccomp) error {
	if s.ListenerPath != "" || s.ListenerMetadata != "" {
		return fmt.Errorf("listenerPath %.64q: guests have no seccomp agent: %w", s.ListenerPath, errdefs.ErrNotImplemented)
	}
	for _, a := range s.Architectures {
		if !slices.Contains(architectures, a) {
			return fmt.Errorf("architecture %.64q is unknown: %w", a, errdefs.ErrInvalidArgument)
		}
	}
	for _, flag := range s.Flags {
		if err := checkFlag(flag); err != nil {
			return err
		}
	}
	return nil
}

// checkFlag accepts flags that take nothing from a guest's confinement, and does
// without them: denied calls are not logged, the filter is for the one thread, and
// kernels before 5.16 mitigate Speculative Store Bypass on it.
func checkFlag(flag specs.LinuxSeccompFlag) error {
	switch flag {
	case specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, flagTsync:
		return nil
	case specs.LinuxSeccompFlagWaitKillableRecv:
		return fmt.Errorf("flag %s: guests have no seccomp agent: %w", flag, errdefs.ErrNotImplemented)
	default:
		return fmt.Errorf("flag %.64q is unknown: %w", flag, errdefs.ErrInvalidArgument)
	}
}
