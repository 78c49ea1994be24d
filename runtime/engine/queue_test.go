// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
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
	background := []*ticket{q.enter(forUnpack, ""), q.enter(forUnpack, ""), q.enter(forUnpack, "")}
	expect("one runs in the background", "x..", background...)
	starts := []*ticket{q.enter(forStart, ""), q.enter(forStart, "")}
	expect("a start does not wait for it", "x.", starts...)
	background[2].promote("")
	expect("one that a start waits for is behind earlier starts", "x..", background...)
	starts[0].leave()
	expect("the next start", "xx", starts...)
	background[0].leave()
	expect("no background work while starts wait", "x..", background...)
	starts[1].leave()
	expect("the promoted one before the others", "x.x", background...)
	background[2].leave()
	expect("the rest", "xxx", background...)
	background[1].promote("") // too late to matter
	background[1].leave()
	if waiting, running := q.length(); waiting != 0 || running != 0 {
		t.Errorf("%d wait, %d run", waiting, running)
	}
	gone := q.enter(forStart, "")
	left := q.enter(forStart, "")
	left.leave()
	gone.leave()
	expect("who left is not granted anything", ".", left)
}

func TestQueueTakesTurns(t *testing.T) {
	q := &queue{max: 1}
	names := map[*ticket]string{}
	enter := func(tenant, name string) *ticket {
		ticket := q.enter(forStart, tenant)
		names[ticket] = name
		return ticket
	}
	for _, name := range []string{"a1", "a2", "a3"} {
		enter("a", name)
	}
	wanted := enter("a", "a4")
	enter("b", "b1")
	enter("b", "b2")
	enter("c", "c1").leave()
	wanted.promote("d") // the last of a line, which is d's first
	wanted.promote("d")
	if waiting, running := q.length(); waiting != 5 || running != 1 {
		t.Errorf("%d wait, %d run", waiting, running)
	}
	var order []string
	for len(order) < 6 {
		for ticket, name := range names {
			if granted(ticket) && !slices.Contains(order, name) {
				order = append(order, name)
				ticket.leave()
				ticket.promote("e") // too late to matter
			}
		}
	}
	if got, want := fmt.Sprint(order), "[a1 a2 b1 a4 a3 b2]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if waiting, running := q.length(); waiting != 0 || running != 0 || len(q.waiting[forStart].of) != 0 || len(q.waiting[forStart].turns) != 0 {
		t.Errorf("%d wait, %d run, in %+v", waiting, running, q.waiting)
	}
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
				ticket := q.enter(p, strconv.Itoa(rand.IntN(3)))
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
						ticket.promote(strconv.Itoa(rand.IntN(3)))
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

// A tenant with many modules that take long keeps no other one waiting for all of them,
// nor who waits for the last of them.
func TestTenantsTakeTurns(t *testing.T) {
	cfg := testConfig(t)
	cfg.MaxParallel = 1
	cfg.Store = newMemStore()
	e, _ := newEngine(t, cfg)
	var mu sync.Mutex
	var compiled []string
	names, proceed := map[digest.Digest]string{}, make(chan struct{})
	e.compile = func(_ context.Context, _ *image, o order) error {
		<-proceed
		mu.Lock()
		defer mu.Unlock()
		compiled = append(compiled, names[o.Module])
		return fmt.Errorf("was only counted: %w", errdefs.ErrInternal)
	}
	var loads sync.WaitGroup
	start := func(tenant, name string, waiting int) {
		b := wat(t, fmt.Sprintf(`(module (func (export "_start")) (func (export "%s")))`, name))
		mu.Lock()
		names[digest.FromBytes(b)] = name
		mu.Unlock()
		f := open(t, file(t, name, b))
		loads.Go(func() {
			if _, err := e.Load(t.Context(), f, Use{Tenant: tenant}); !errdefs.IsInternal(err) {
				t.Error(err)
			}
		})
		eventually(t, name+" waits", func() bool { return int(e.counters.waiting.Load()) == waiting })
	}
	for i, name := range []string{"a0", "a1", "a2", "a3", "a4"} {
		start("a", name, i+1)
	}
	start("b", "b1", 6)
	start("c", "a4", 7)
	close(proceed)
	loads.Wait()
	if got, want := fmt.Sprint(compiled), "[a0 a1 b1 a4 a2 a3]"; got != want {
		t.Errorf("compiled %s, want %s", got, want)
	}
}
