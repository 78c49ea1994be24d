// SPDX-License-Identifier: Apache-2.0

package jail

// #include "jail.h"
import "C"

import (
	"fmt"

	"github.com/containerd/errdefs"
)

// Limits bound all guests together.
type Limits struct {
	Memory  uint64 // bytes: linear memory, stacks, Spec.Overhead of each, and what Budget is charged
	Threads int    // guests and parked threads

	// StackSize is that of threads that are made ahead, for the first guest and others;
	// 0: the first guest's.
	StackSize uint64
}

// MapsPerThread is how many of the kernel's mappings of memory a thread takes at most: its
// stack and the signal stack with their guards are four, linear memory and its guards
// three. A parked thread has fewer.
const MapsPerThread = 8

// SetLimits replaces the limits. Guests that are there already keep what they have.
func SetLimits(l Limits) {
	C.jail_set_budget(C.uint64_t(l.Memory))
	guestsMu.Lock()
	defer guestsMu.Unlock()
	maxThreads = l.Threads
	if l.StackSize != 0 {
		C.jail_set_spare_size(C.size_t(l.StackSize))
	}
}

// MemoryUsed is what counts against Limits.Memory, in bytes.
func MemoryUsed() uint64 { return uint64(C.jail_budget_used()) }

// MemoryLimit is Limits.Memory.
func MemoryLimit() uint64 { return uint64(C.jail_budget()) }

// Budget is Limits.Memory, for what is no single guest's: loaded modules. There is one.
type Budget struct{}

// Charge counts bytes that are about to be used.
//
// Errors: ResourceExhausted.
func (Budget) Charge(bytes uint64) error {
	if C.jail_charge_daemon(C.uint64_t(bytes)) != 0 {
		return errBudget()
	}
	return nil
}

// Repay is for bytes that are not used any more.
func (Budget) Repay(bytes uint64) { C.jail_repay_daemon(C.uint64_t(bytes)) }

// SetSpare says how many of the bytes that are charged can be repaid, or are about to be.
// Whoever would be refused for them waits, up to half a second, and GiveBack is called.
func (Budget) SetSpare(bytes uint64) { C.jail_set_spare(C.uint64_t(bytes)) }

// GiveBack sets what repays some of what is spare, whenever it is lacking. It is to be
// called once.
func (Budget) GiveBack(some func()) {
	go func() {
		for {
			C.jail_wait_asked()
			some()
		}
	}()
}

func errBudget() error {
	return fmt.Errorf("guests and their modules take %d of the %d MiB that they may have: raise max_memory in the runtime's configuration, or run fewer: %w",
		MemoryUsed()>>20, MemoryLimit()>>20, errdefs.ErrResourceExhausted)
}
