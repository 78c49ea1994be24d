// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// setLimits sets resource limits. Those on memory count from what the process
// has now, so that the same number means the same to the compiler whatever the
// program around it maps at its start.
func setLimits(j job) error {
	size, data, err := memoryUse()
	if err != nil {
		return err
	}
	// Address space is also taken by reservations: thread stacks, malloc's
	// arenas of 64 MiB per thread, Go's heap. Only memory that can be written
	// and is private counts as data.
	const reservations = 2 << 30
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_AS:     size + uint64(j.Memory) + reservations,
		unix.RLIMIT_DATA:   data + uint64(j.Memory),
		unix.RLIMIT_CPU:    j.CPUSeconds,
		unix.RLIMIT_FSIZE:  uint64(j.FileSize),
		unix.RLIMIT_NOFILE: 64,
		unix.RLIMIT_NPROC:  maxThreads,
		unix.RLIMIT_CORE:   0,
	} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("limit %d: %w", resource, err)
		}
	}
	return nil
}

// maxThreads bounds the threads of all processes of the child's user, the only
// way in which threads can be counted without a cgroup. The linker makes one for
// each CPU.
const maxThreads = 4096

// dieFirst has the kernel choose the compiler before anything else when the host
// runs out of memory. It would inherit the daemon's setting, which is the last.
func dieFirst() error {
	return os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}

// memoryUse returns the process's address space and data, in bytes, as
// RLIMIT_AS and RLIMIT_DATA count them.
func memoryUse() (size, data uint64, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		switch fields[0] {
		case "VmSize:":
			size, err = strconv.ParseUint(fields[1], 10, 54)
		case "VmData:":
			data, err = strconv.ParseUint(fields[1], 10, 54)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if size == 0 || data == 0 {
		return 0, 0, errors.New("/proc/self/status does not tell the memory in use")
	}
	return size << 10, data << 10, nil
}

// giveWay, if idle, has the process run only when nothing else on the machine
// wants the processor or the disk. The policy is this thread's, which compiles, and
// that of those which it makes; the rest is all threads'.
func giveWay(idle bool) error {
	if !idle {
		return nil
	}
	const (
		ioprioGroup = 2       // IOPRIO_WHO_PGRP
		ioprioIdle  = 3 << 13 // IOPRIO_CLASS_IDLE
		nicest      = 19
	)
	if err := unix.Setpriority(unix.PRIO_PGRP, 0, nicest); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioGroup, 0, ioprioIdle); errno != 0 {
		return errno
	}
	return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: nicest}, 0)
}
