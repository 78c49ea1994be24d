// SPDX-License-Identifier: Apache-2.0

// Package osthread runs functions that change what the kernel keeps for each thread.
package osthread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Do calls f on a thread that ends then, so that f may move it to another namespace. The
// process's first thread cannot end, and is what others see of the process in /proc, so
// it is left alone.
func Do(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			Do(f)
			return
		}
		f()
	}()
	<-done
}
