// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"maps"

	"golang.org/x/sys/unix"
)

func init() {
	maps.Copy(deniedCalls, map[string]uintptr{
		"fork": unix.SYS_FORK, "vfork": unix.SYS_VFORK, "alarm": unix.SYS_ALARM, "modify_ldt": unix.SYS_MODIFY_LDT,
		"ioperm": unix.SYS_IOPERM, "iopl": unix.SYS_IOPL, "mknod": unix.SYS_MKNOD, "uselib": unix.SYS_USELIB,
	})
}
