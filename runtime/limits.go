// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"math"
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
	l, err := limits(config, host, maps)
	if err != nil {
		return err
	}
	jail.SetLimits(l)
	return nil
}

// limits takes the host's memory in bytes and vm.max_map_count.
func limits(config Config, host, maps uint64) (jail.Limits, error) {
	// More mappings than the kernel allows would fail in Go's runtime, which is
	// the end of the daemon.
	most := max(int(min(maps, math.MaxInt32))-otherMaps, minGuests*jail.MapsPerThread) / jail.MapsPerThread
	l := jail.Limits{Memory: config.MaxMemory, Threads: config.MaxGuests}
	if l.Memory == 0 {
		l.Memory = host / 4 * 3
	}
	switch {
	case l.Threads < 0 || l.Threads > most:
		return l, fmt.Errorf("max_guests %d is not between 0 and %d, for which vm.max_map_count (%d) has room: %w", l.Threads, most, maps, errdefs.ErrInvalidArgument)
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

func readNumber(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
}
