// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func granted(t *ticket) bool {
	select {
	case <-t.granted:
		return true
	default:
		return false
	}
}

func TestQueueOrder(t *testing.T) {
	q := &queue{max: 1}
	expect := func(what string, want string, tickets ...*ticket) {
		t.Helper()
		got := ""
		for _, ticket := range tickets {
			if granted(ticket) {
				got += "x"
			} else {
				got += "."
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	background := []*ticket{q.enter(forUnpack), q.enter(forUnpack), q.enter(forUnpack)}
	expect("one runs in the background", "x..", background...)
	starts := []*ticket{q.enter(forStart), q.enter(forStart)}
	expect("a start does not wait for it", "x.", starts...)
	background[2].promote()
	expect("one that a start waits for is behind earlier starts", "x..", background...)
	starts[0].leave()
	expect("the next start", "xx", starts...)
	background[0].leave()
	expect("no background work while starts wait", "x..", background...)
	starts[1].leave()
	expect("the promoted one before the others", "x.x", background...)
	background[2].leave()
	expect("the rest", "xxx", background...)
	background[1].promote() // too late to matter
	background[1].leave()
	if waiting, running := q.length(); waiting != 0 || running != 0 {
		t.Errorf("%d wait, %d run", waiting, running)
	}
	gone := q.enter(forStart)
	left := q.enter(forStart)
	left.leave()
	gone.leave()
	expect("who left is not granted anything", ".", left)
}

func TestQueueBounds(t *testing.T) {
	q := &queue{max: 2}
	var running, starts, most, mostStarts atomic.Int32
	raise := func(n int32, most *atomic.Int32) {
		for {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				return
			}
		}
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 200 {
				p := priority(rand.IntN(int(priorities)))
				ticket := q.enter(p)
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(4) == 0 {
					cancel()
				}
				if ticket.wait(ctx) == nil {
					raise(running.Add(1), &most)
					if p == forStart {
						raise(starts.Add(1), &mostStarts)
						starts.Add(-1)
					} else if rand.IntN(2) == 0 {
						ticket.promote()
					}
					running.Add(-1)
				}
				ticket.leave()
				cancel()
			}
		})
	}
	wg.Wait()
	if most.Load() > 4 || mostStarts.Load() > 2 {
		t.Errorf("at most %d ran, %d of them for starts", most.Load(), mostStarts.Load())
	}
	if waiting, running := q.length(); waiting != 0 || running != 0 {
		t.Errorf("%d wait, %d run", waiting, running)
	}
}
