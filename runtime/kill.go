// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// kill delivers a signal, and says whether the guest ends of it. A guest cannot
// catch signals, so those that ask a process to end do end it, at once; others
// are lost, as they are on the first process of a Linux container that does not
// handle them. Signal 0 asks whether the process is there.
//
// Errors: NotFound: it has ended; InvalidArgument: no such signal.
func (p *process) kill(signal uint32) (bool, error) {
	if p.over() {
		if p.exit() == nil {
			return false, nil // clients do not know yet: it is as a zombie is to kill(2)
		}
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
