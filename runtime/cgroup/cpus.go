// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxCPUs is the largest CONFIG_NR_CPUS of a Linux kernel.
const maxCPUs = 8192

// parseCPUs reads a list of CPUs such as "0-3,5" (cpuset(7), list format) of
// which the daemon may use each. An empty one is nil.
func parseCPUs(list string) (unix.CPUSetDynamic, error) {
	if list == "" {
		return nil, nil
	}
	own := unix.NewCPUSet(maxCPUs)
	if err := unix.SchedGetaffinityDynamic(os.Getpid(), own); err != nil {
		return nil, fmt.Errorf("reading the daemon's CPUs: %w", err)
	}
	set := unix.NewCPUSet(maxCPUs)
	for part := range strings.SplitSeq(list, ",") {
		first, last, ok := parseRange(part)
		if !ok {
			return nil, invalid("cpus", strconv.Quote(list), "is not a list such as \"0-3,5\"")
		}
		for cpu := first; cpu <= last; cpu++ {
			if !own.IsSet(cpu) {
				return nil, invalid("cpus", strconv.Quote(list), "has CPU %d, which the daemon does not have", cpu)
			}
			set.Set(cpu)
		}
	}
	return set, nil
}

// parseRange reads "3" or "0-3".
func parseRange(s string) (first, last int, ok bool) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	a, err := strconv.ParseUint(from, 10, 31)
	if err != nil {
		return 0, 0, false
	}
	b, err := strconv.ParseUint(to, 10, 31)
	return int(a), int(b), err == nil && a <= b
}
