// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestSignalsThatEndAGuest(t *testing.T) {
	for s := unix.Signal(1); s <= 64; s++ {
		want := s == unix.SIGKILL || s == unix.SIGTERM || s == unix.SIGINT || s == unix.SIGQUIT || s == unix.SIGHUP || s == unix.SIGABRT
		if ends(s) != want {
			t.Errorf("signal %d (%v): ends is %t", s, s, !want)
		}
	}
}
