// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
)

// A Budget is what loaded modules count against, together with guests. Its methods
// may be called concurrently; but for Charge they do not block.
type Budget interface {
	// Charge counts bytes that are about to be used. It may wait for those of idle
	// modules. Errors: ErrResourceExhausted, naming the configuration key.
	Charge(bytes uint64) error
	// Repay is for bytes that are not used any more.
	Repay(bytes uint64)
	// SetSpare is told how many of the charged bytes UnloadOldest can have repaid, or
	// has begun to.
	SetSpare(bytes uint64)
}

// noBudget is one without an end.
type noBudget struct{}

func (noBudget) Charge(uint64) error { return nil }
func (noBudget) Repay(uint64)        {}
func (noBudget) SetSpare(uint64)     {}

// errNoRoom: the budget has no room for a module at the moment. It says nothing about
// the module, and the next attempt may find some.
type errNoRoom struct {
	bytes uint64
	error
}

// Error implements error.
func (e errNoRoom) Error() string {
	return fmt.Sprintf("needs %d MiB to be loaded, and %v", (e.bytes+1<<20-1)>>20, e.error)
}

// Unwrap is for errors.Is.
func (e errNoRoom) Unwrap() error { return e.error }

func isNoRoom(err error) bool {
	var e errNoRoom
	return errors.As(err, &e)
}

// charge returns what repays the bytes. Errors: errNoRoom, a phrase that follows the
// module's name.
func (e *Engine) charge(bytes uint64) (repay func(), err error) {
	if err := e.cfg.Budget.Charge(bytes); err != nil {
		return nil, errNoRoom{bytes, err}
	}
	return func() { e.cfg.Budget.Repay(bytes) }, nil
}

// addIdle is told of a module that becomes idle, or is not any more. Engine.mu is held.
func (e *Engine) addIdle(s *shared, sign int) {
	e.idle += uint64(sign) * s.charged
	e.cfg.Budget.SetSpare(e.idle)
}

// UnloadOldest unloads the module that nobody has held for the longest time, if there
// is one.
func (e *Engine) UnloadOldest() {
	e.mu.Lock()
	oldest := e.oldest()
	e.mu.Unlock()
	if oldest != nil {
		e.unloadIdle(oldest, 0)
	}
}

// oldest is the module that nobody has held for the longest time, or nil. Engine.mu is
// held.
func (e *Engine) oldest() (oldest *shared) {
	for _, s := range e.modules {
		if s.refs == 0 && (oldest == nil || s.idleSince.Before(oldest.idleSince)) {
			oldest = s
		}
	}
	return oldest
}
