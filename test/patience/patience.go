// SPDX-License-Identifier: Apache-2.0

// Package patience makes the limits of tests fit machines that are slow by nature,
// such as the emulated one of scripts/test-vm.sh.
package patience

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// Environ is the environment variable that says how many times as slow as usual
// this machine is.
const Environ = "TEST_SLOWNESS"

var slowness = factor(os.Getenv(Environ))

func factor(s string) time.Duration {
	if s == "" {
		return 1
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || n == 0 {
		panic(fmt.Sprintf("%s=%q is not a number from 1 to 255", Environ, s))
	}
	return time.Duration(n)
}

// For returns the limit here of what takes d at most on usual machines. It is not
// for limits that a test is to see exceeded.
func For(d time.Duration) time.Duration { return d * slowness }
