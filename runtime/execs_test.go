// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Execs that wait for a volume in the kernel take so many threads of the daemon, and no
// more, and the next ones leave with their clients.
func TestTurnsOfExecs(t *testing.T) {
	e := newExecs()
	var leave []func()
	for range maxTurns {
		done, err := e.takeTurn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, done)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.takeTurn(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("one more, whose client has gone: %v", err)
	}
	leave[0]()
	if _, err := e.takeTurn(t.Context()); err != nil {
		t.Errorf("after one has left: %v", err)
	}
}

// The end of a container is not held up by such an exec.
func TestEndDoesNotWaitForAnExecThatIsNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExecs()
		if err := e.reserve("a"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		e.end()
		if took := time.Since(begin); took != madeTime {
			t.Errorf("it waited for %v", took)
		}
		e.forget("a")
		e.making.Done()
	})
}
