// SPDX-License-Identifier: Apache-2.0

// Package soak has clients that do everything to one daemon at once, for a while, and
// then looks for what is left.
//
// The daemon is built for it (daemon/), with a service whose handlers have faults
// (fault/). If the test is built with the race detector, so is the daemon. From the
// environment, all optional:
//
//	SOAK          how long it takes, such as 10m
//	SOAK_CLIENTS  how many clients there are
//	SOAK_SEED     what each of them does, in which order
//
// One more thing to do is one more line in the table of actions.
package soak
