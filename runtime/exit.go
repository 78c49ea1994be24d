// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// Exit codes that are not the guest's own.
const (
	exitTrap       = 134 // as a native program that ends by abort(3)
	exitNotStarted = 128 // as CRI reports a container that could not start
	exitSignal     = 128 // plus the signal

	// exitMask is what of an exit code there is room for (wait(2)); clients
	// take it for a small number.
	exitMask = 0xff
)

// exitStatus is the exit code that clients see, and whether the guest died of
// its memory limit.
func exitStatus(r *jail.Result, signal uint32) (status uint32, oom bool) {
	switch {
	case r.Ending == jail.Killed:
		return exitSignal + signal, false
	case r.Ending == jail.NotStarted:
		return exitNotStarted, false
	case r.Ending == jail.BadCall:
		return exitSignal + uint32(unix.SIGSYS), false
	case diedOfMemory(r):
		return exitSignal + uint32(unix.SIGKILL), true
	case r.Ending == jail.Exited:
		return r.Code & exitMask, false
	default:
		return exitTrap, false
	}
}

// diedOfMemory: a guest that was refused memory and then failed is taken to have
// failed for it. It may have gone on for a while without.
func diedOfMemory(r *jail.Result) bool {
	failed := r.Ending == jail.Trapped || r.Ending == jail.Exited && r.Code != 0
	return failed && r.Refused != jail.NotRefused
}
