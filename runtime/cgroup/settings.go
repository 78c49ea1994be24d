// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// settings are what the files of a group say. Times are in microseconds.
type settings struct {
	shares uint64
	quota  int64 // per period; noQuota: none
	period uint64
	burst  uint64
	idle   bool
}

const noQuota = -1

// defaults are those of a new group, and of no group.
var defaults = settings{shares: 1024, quota: noQuota, period: 100_000}

// unlimited is as much as there is.
var unlimited = settings{shares: maxShares, quota: noQuota, period: 100_000}

// The kernel's bounds (kernel/sched/sched.h and core.c: MIN_SHARES, MAX_SHARES,
// min_cfs_quota_period, max_cfs_quota_period, MAX_BW).
const (
	minShares, maxShares = 2, 1 << 18
	minPeriod, maxPeriod = 1_000, 1_000_000
	minQuota, maxQuota   = 1_000, 1<<44 - 1
)

// parse puts what resources give over what was there. The CPUs are nil if none
// are given.
func parse(s settings, resources *specs.LinuxResources) (settings, unix.CPUSetDynamic, error) {
	if resources == nil {
		return s, nil, nil
	}
	for name := range resources.Unified {
		if strings.HasPrefix(name, "cpu") {
			return s, nil, fmt.Errorf("linux.resources.unified %q: give it as linux.resources.cpu: %w", name, errdefs.ErrNotImplemented)
		}
	}
	cpu := resources.CPU
	if cpu == nil {
		return s, nil, nil
	}
	if nonzero(cpu.RealtimeRuntime) || nonzero(cpu.RealtimePeriod) {
		return s, nil, fmt.Errorf("linux.resources.cpu: realtimeRuntime, realtimePeriod: no thread of a guest is a realtime one: %w", errdefs.ErrNotImplemented)
	}
	if nonzero(cpu.Shares) {
		s.shares = *cpu.Shares
	}
	if nonzero(cpu.Quota) {
		s.quota = *cpu.Quota
	}
	if nonzero(cpu.Period) {
		s.period = *cpu.Period
	}
	if cpu.Burst != nil {
		s.burst = *cpu.Burst
	}
	if cpu.Idle != nil {
		if *cpu.Idle != 0 && *cpu.Idle != 1 {
			return s, nil, invalid("idle", *cpu.Idle, "is neither 0 nor 1")
		}
		s.idle = *cpu.Idle == 1
	}
	if err := s.validate(); err != nil {
		return s, nil, err
	}
	cpus, err := parseCPUs(cpu.Cpus)
	return s, cpus, err
}

// nonzero says whether a value is given. 0 stands for none: `ctr run
// --cpu-quota` sends a period of 0, and runc takes it so.
func nonzero[T int64 | uint64](v *T) bool { return v != nil && *v != 0 }

func (s *settings) validate() error {
	switch {
	case s.shares < minShares || s.shares > maxShares:
		return invalid("shares", s.shares, "is not between %d and %d", minShares, maxShares)
	case s.period < minPeriod || s.period > maxPeriod:
		return invalid("period", s.period, "is not between %d and %d us", minPeriod, maxPeriod)
	case s.quota == noQuota:
		return nil
	case s.quota < minQuota || s.quota > maxQuota:
		return invalid("quota", s.quota, "is neither -1 (none) nor between %d and %d us", minQuota, maxQuota)
	case s.burst > uint64(s.quota):
		return invalid("burst", s.burst, "is more than the quota of %d us", s.quota)
	case s.burst > maxQuota-uint64(s.quota):
		return invalid("burst", s.burst, "and the quota are more than %d us", maxQuota)
	}
	return nil
}

func invalid(field string, value any, format string, args ...any) error {
	return fmt.Errorf("linux.resources.cpu.%s %v %s: %w", field, value, fmt.Sprintf(format, args...), errdefs.ErrInvalidArgument)
}

// effective leaves out what changes nothing, so that equal groups compare as
// equal: a period without a quota, and the shares of an idle group. These
// nobody can write, and they are the default's when it is idle no more.
func (s settings) effective() settings {
	if s.quota == noQuota {
		s.period, s.burst = defaults.period, 0
	}
	if s.idle {
		s.shares = defaults.shares
	}
	return s
}

// change is a value to be written to a file of a group.
type change struct{ file, value string }

// changes lists what makes old into s, in an order that the kernel accepts:
// it compares quota, period and burst at every write.
func (s settings) changes(old settings, v2 bool) []change {
	if v2 {
		return s.changesV2(old)
	}
	var out []change
	if s.idle != old.idle {
		out = append(out, change{"cpu.idle", flag(s.idle)})
	}
	if s.shares != old.shares && !s.idle {
		out = append(out, change{"cpu.shares", strconv.FormatUint(s.shares, 10)})
	}
	if s.bandwidth() == old.bandwidth() {
		return out
	}
	if old.quota != noQuota {
		out = append(out, change{"cpu.cfs_quota_us", strconv.Itoa(noQuota)})
	}
	if s.period != old.period {
		out = append(out, change{"cpu.cfs_period_us", strconv.FormatUint(s.period, 10)})
	}
	if s.burst != old.burst {
		out = append(out, change{"cpu.cfs_burst_us", strconv.FormatUint(s.burst, 10)})
	}
	if s.quota != noQuota {
		out = append(out, change{"cpu.cfs_quota_us", strconv.FormatInt(s.quota, 10)})
	}
	return out
}

func (s settings) changesV2(old settings) []change {
	var out []change
	if s.idle != old.idle {
		out = append(out, change{"cpu.idle", flag(s.idle)})
	}
	if s.shares != old.shares && !s.idle {
		weight := cgroup2.ConvertCPUSharesToCgroupV2Value(s.shares)
		out = append(out, change{"cpu.weight", strconv.FormatUint(weight, 10)})
	}
	if s.bandwidth() == old.bandwidth() {
		return out
	}
	if old.burst != 0 {
		out = append(out, change{"cpu.max.burst", "0"})
	}
	out = append(out, change{"cpu.max", s.max()})
	if s.burst != 0 {
		out = append(out, change{"cpu.max.burst", strconv.FormatUint(s.burst, 10)})
	}
	return out
}

// bandwidth is the part of s that limits.
func (s settings) bandwidth() settings {
	return settings{quota: s.quota, period: s.period, burst: s.burst}
}

// max is the content of cpu.max.
func (s settings) max() string {
	if s.quota == noQuota {
		return fmt.Sprintf("max %d", s.period)
	}
	return fmt.Sprintf("%d %d", s.quota, s.period)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
