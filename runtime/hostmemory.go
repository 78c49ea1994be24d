// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// hostMemory is the host's, or what the daemon's cgroup and those above it allow if
// that is less; in bytes.
func hostMemory() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("reading the host's memory: %w", err)
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, err
	}
	limit, err := cgroupMemory("/sys/fs/cgroup", string(groups))
	return min(info.Totalram*uint64(info.Unit), limit), err
}

// cgroupMemory is the least memory limit of the given groups and of those above
// them, as far as they can be seen. root is where the hierarchies are mounted;
// groups has lines ID:CONTROLLERS:PATH as /proc/self/cgroup does (cgroups(7)).
func cgroupMemory(root, groups string) (uint64, error) {
	least := uint64(math.MaxUint64)
	for line := range strings.Lines(groups) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		var limit uint64
		var err error
		switch {
		case controllers == "":
			limit, err = leastLimit(root, path, unifiedLimit)
		case slices.Contains(strings.Split(controllers, ","), "memory"):
			limit, err = leastLimit(filepath.Join(root, "memory"), path, hierarchicalLimit)
		default:
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("reading the cgroup's memory limit: %w", err)
		}
		least = min(least, limit)
	}
	return least, nil
}

// leastLimit asks for the limits of the group at path and of all above it. Groups
// that are not to be seen, as in a container, and those without the file count as
// having none.
func leastLimit(mount, path string, of func(dir string) (uint64, error)) (uint64, error) {
	least := uint64(math.MaxUint64)
	for path = filepath.Join("/", path); ; path = filepath.Dir(path) {
		limit, err := of(filepath.Join(mount, path))
		switch {
		case err == nil:
			least = min(least, limit)
		case !errors.Is(err, fs.ErrNotExist):
			return 0, err
		}
		if path == "/" {
			return least, nil
		}
	}
}

// unifiedLimit is that of a group of version 2.
func unifiedLimit(dir string) (uint64, error) {
	b, err := os.ReadFile(filepath.Join(dir, "memory.max"))
	if err != nil {
		return 0, err
	}
	if strings.TrimSpace(string(b)) == "max" {
		return math.MaxUint64, nil
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
}

// hierarchicalLimit is that of a group of version 1, in which the kernel has counted
// those above it, also where a mount does not show them.
func hierarchicalLimit(dir string) (uint64, error) {
	b, err := os.ReadFile(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == "hierarchical_memory_limit" {
			return strconv.ParseUint(value, 10, 64)
		}
	}
	return math.MaxUint64, nil
}
