// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"testing"
	"time"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// The metric asks guests for their memory alone: the CPU time of one that is about to end
// comes when it has, and this one never does.
func TestLinearMemoryWaitsForNoGuest(t *testing.T) {
	endless := func() process { return process{guest: &jail.Guest{}} }
	one := &task{process: endless()}
	one.execs.all = map[string]*exec{"made": {process: endless()}, "being made": nil}
	m := &Manager{tasks: map[key]*task{{"default", "made"}: one, {"default", "being made"}: nil}}
	read := make(chan uint64, 1)
	go func() { read <- m.linearMemory() }()
	select {
	case sum := <-read:
		if sum != 0 {
			t.Errorf("guests that have not begun have %d bytes", sum)
		}
	case <-time.After(patience.For(10 * time.Second)):
		t.Fatal("it waits for a guest")
	}
}
