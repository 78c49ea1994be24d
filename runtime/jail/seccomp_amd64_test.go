// SPDX-License-Identifier: Apache-2.0

package jail

import "golang.org/x/sys/unix"

func init() {
	for name, number := range map[string]uintptr{
		"fork": unix.SYS_FORK, "vfork": unix.SYS_VFORK, "alarm": unix.SYS_ALARM, "modify_ldt": unix.SYS_MODIFY_LDT,
		"ioperm": unix.SYS_IOPERM, "iopl": unix.SYS_IOPL, "mknod": unix.SYS_MKNOD, "uselib": unix.SYS_USELIB,
	} {
		deniedCalls[name] = number
	}
}
