// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"math"
	"math/bits"
	"os"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

const (
	// otherMaps are left to the rest of the daemon: libraries, Go's heap,
	// loaded modules.
	otherMaps = 8192
	// spacePerThread is its address space, nearly all of it reserved for guards: 12 GiB
	// for linear memory, one and more for the stack. The rest of the daemon has an eighth
	// of all.
	spacePerThread = 14 << 30
	// minGuests is what the smallest vm.max_map_count allows at least.
	minGuests = 16
)

// setLimits bounds all guests together: what the configuration says, or what the
// host can bear.
//
// Errors: InvalidArgument naming the configuration key; those of reading /proc.
func setLimits(config Config) error {
	host, err := hostMemory()
	if err != nil {
		return err
	}
	maps, err := readNumber("/proc/sys/vm/max_map_count")
	if err != nil {
		return err
	}
	space, err := addressSpace()
	if err != nil {
		return err
	}
	l, err := limits(config, host, maps, space)
	if err != nil {
		return err
	}
	jail.SetLimits(l)
	return nil
}

// limits takes the host's memory in bytes, vm.max_map_count, and the bytes that a process
// may have addresses for.
func limits(config Config, host, maps, space uint64) (jail.Limits, error) {
	// More mappings than the kernel allows, or no addresses, would fail in Go's runtime,
	// which is the end of the daemon.
	most := max(int(min(maps, math.MaxInt32))-otherMaps, minGuests*jail.MapsPerThread) / jail.MapsPerThread
	most = min(most, int(space/8*7/spacePerThread))
	l := jail.Limits{Memory: config.MaxMemory, Threads: config.MaxGuests, StackSize: config.StackSize}
	if l.Memory == 0 {
		l.Memory = host / 4 * 3
	}
	switch {
	case l.Threads < 0 || l.Threads > most:
		return l, fmt.Errorf("max_guests %d is not between 0 and %d, for which vm.max_map_count (%d) and the address space (%d GiB) have room: %w", l.Threads, most, maps, space>>30, errdefs.ErrInvalidArgument)
	case l.Memory < minMemory:
		return l, fmt.Errorf("max_memory %d is less than %d: %w", l.Memory, uint64(minMemory), errdefs.ErrInvalidArgument)
	}
	if l.Threads == 0 {
		l.Threads = most
	}
	return l, nil
}

// minMemory has room for a few guests.
const minMemory = 16 << 20

// addressSpace returns how many bytes a process may have addresses for: 128 TiB on
// x86-64, and 256 TiB, or 512 GiB, on arm64, by the kernel's configuration. The stack is
// near their end.
func addressSpace() (uint64, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	var end uint64
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			return 0, fmt.Errorf("/proc/self/maps: %q: %w", line, err)
		}
		if to < 1<<63 { // not the kernel's: x86-64's vsyscall
			end = max(end, to)
		}
	}
	return 1 << bits.Len64(end-1), nil
}

func readNumber(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
}
