// SPDX-License-Identifier: Apache-2.0

package jail

// #include "jail.h"
import "C"

import (
	"bytes"
	"fmt"
	"os"
	"syscall"

	"github.com/containerd/errdefs"
)

// testProfile refuses AppArmor profiles with which the guest could not be ended, or
// could end the daemon.
//
// Errors: PermissionDenied; those of asking the kernel.
func (g *Guest) testProfile() error {
	if err := g.testSignals(); err != nil {
		return err
	}
	mode, err := os.ReadFile("/sys/module/apparmor/parameters/mode")
	if err != nil {
		return err
	}
	label, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/attr/apparmor/current", g.tid))
	if err != nil {
		return err
	}
	if killsDaemon(mode, label) {
		return fmt.Errorf("it has the mode kill, in which the kernel ends the whole daemon for what one guest may not do: load it in mode enforce: %w", errdefs.ErrPermissionDenied)
	}
	return nil
}

// testSignals: a profile may let no signals of this process through, and later nothing
// could end the guest.
func (g *Guest) testSignals() error {
	var errno C.int
	g.withC(func(c *C.struct_jail) { errno = C.jail_signal_test(c) })
	if errno == 0 {
		return nil
	}
	return fmt.Errorf("the guest could not be ended or paused, for which a rule such as \"signal (receive) peer=unconfined\" is needed: %w: %w", syscall.Errno(errno), errdefs.ErrPermissionDenied)
}

// killsDaemon says whether the kernel answers a violation with SIGKILL (aa_audit), by the mode
// for all profiles and a thread's label, "NAME (MODE)". A stack of profiles in several
// modes is "mixed", and not looked into.
func killsDaemon(mode, label []byte) bool {
	label = bytes.TrimSpace(label)
	return string(bytes.TrimSpace(mode)) == "kill" || bytes.HasSuffix(label, []byte("(kill)")) || bytes.HasSuffix(label, []byte("(mixed)"))
}
