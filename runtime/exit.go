// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"time"

	"github.com/containerd/errdefs"
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

// kill delivers a signal, and says whether the guest ends of it. A guest cannot
// catch signals, so those that ask a process to end do end it, at once; others
// are lost, as they are on the first process of a Linux container that does not
// handle them. Signal 0 asks whether the process is there.
//
// Errors: NotFound: it has ended; InvalidArgument: no such signal.
func (p *process) kill(signal uint32) (bool, error) {
	if p.over() {
		return false, fmt.Errorf("%s has ended: %w", p.name, errdefs.ErrNotFound)
	}
	const lastSignal = 64 // SIGRTMAX (signal(7))
	if signal > lastSignal {
		return false, fmt.Errorf("signal %d: there is none above %d: %w", signal, lastSignal, errdefs.ErrInvalidArgument)
	}
	if !ends(unix.Signal(signal)) {
		return false, nil
	}
	p.mu.Lock()
	p.endBy(signal)
	p.mu.Unlock()
	p.guest.Kill()
	return true, nil
}

// endBy notes what ends the guest, if nothing did before; the caller holds mu.
func (p *process) endBy(signal uint32) {
	if p.signal == 0 {
		p.signal, p.killed = signal, time.Now()
	}
}

func ends(s unix.Signal) bool {
	switch s {
	case unix.SIGKILL, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGABRT:
		return true
	default:
		return false
	}
}
