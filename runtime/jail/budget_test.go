// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// store stands for modules that nobody holds.
var store struct {
	sync.Mutex

	pieces []uint64
	asked  int
}

var giveBack = sync.OnceFunc(func() {
	Budget{}.GiveBack(func() {
		store.Lock()
		defer store.Unlock()
		store.asked++
		if n := len(store.pieces); n > 0 {
			Budget{}.Repay(store.pieces[n-1])
			store.pieces = store.pieces[:n-1]
		}
		setSpare()
	})
})

func setSpare() {
	sum := uint64(0)
	for _, n := range store.pieces {
		sum += n
	}
	Budget{}.SetSpare(sum)
}

// keep charges what is spare until somebody lacks it. It returns what tells how much of it
// is left.
func keep(t *testing.T, pieces ...uint64) (left func() int) {
	t.Helper()
	giveBack()
	store.Lock()
	defer store.Unlock()
	for _, n := range pieces {
		if err := (Budget{}).Charge(n); err != nil {
			t.Fatal(err)
		}
	}
	store.pieces = pieces
	setSpare()
	left = func() int {
		store.Lock()
		defer store.Unlock()
		return len(store.pieces)
	}
	t.Cleanup(func() {
		store.Lock()
		defer store.Unlock()
		for _, n := range store.pieces {
			Budget{}.Repay(n)
		}
		store.pieces = nil
		setSpare()
	})
	return left
}

func TestBudgetIsShared(t *testing.T) {
	limited(t, Limits{Memory: 100 * PageSize, Threads: math.MaxInt})
	b, s := Budget{}, spec(t, "grow")
	if err := b.Charge(60 * PageSize); err != nil {
		t.Fatal(err)
	}
	if err := b.Charge(41 * PageSize); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "take 3 of the 6 MiB that they may have: raise max_memory") {
		t.Errorf("charged beyond the budget: %v", err)
	}
	s.Overhead = 41 * PageSize
	if _, err := New(t.Context(), s); !errdefs.IsResourceExhausted(err) {
		t.Errorf("a guest beyond the budget was made: %v", err)
	}
	s.Overhead = 30 * PageSize
	if got := runGuest(t, s); got.Code != 10 || got.Refused != RefusedByBudget {
		t.Errorf("ended with %+v", got)
	}
	b.Repay(60 * PageSize)
}

// What is refused to one does not count while it is refused: another one is not to be
// refused for it.
func TestRefusalsDisturbNobody(t *testing.T) {
	limited(t, Limits{Memory: 100, Threads: math.MaxInt})
	var stop atomic.Bool
	var greedy sync.WaitGroup
	greedy.Go(func() {
		for !stop.Load() {
			if (Budget{}).Charge(101) == nil {
				t.Error("there was room for more than there is")
			}
		}
	})
	for range 300_000 {
		if err := (Budget{}).Charge(1); err != nil {
			t.Error(err)
			break
		}
		Budget{}.Repay(1)
	}
	stop.Store(true)
	greedy.Wait()
}

// Whoever lacks what is spare gets it.
func TestSpareIsGivenBack(t *testing.T) {
	for name, lack := range map[string]func(t *testing.T){
		"start": func(t *testing.T) {
			s := spec(t, "hello")
			s.Overhead = 50 * PageSize
			if got := runGuest(t, s); got.Ending != Exited || got.Refused != NotRefused {
				t.Errorf("ended with %+v", got)
			}
		},
		"memory to start with": func(t *testing.T) {
			s := spec(t, "big")
			s.InitialMemory = 100 * PageSize
			if got := runGuest(t, s); got.Ending != Exited || got.Refused != NotRefused {
				t.Errorf("ended with %+v", got)
			}
		},
		"memory": func(t *testing.T) {
			if got := runGuest(t, spec(t, "grow")); got.Code != 100 {
				t.Errorf("ended with %+v", got)
			}
		},
		"stack": func(t *testing.T) {
			s := spec(t, "recurse")
			s.StackSize = 3 << 20
			if got := runGuest(t, s); got.Ending != Overflowed || got.Refused != NotRefused {
				t.Errorf("ended with %+v", got)
			}
		},
		"others of the daemon's": func(t *testing.T) {
			if err := (Budget{}).Charge(99 * PageSize); err != nil {
				t.Fatal(err)
			}
			Budget{}.Repay(99 * PageSize)
		},
	} {
		t.Run(name, func(t *testing.T) {
			limited(t, Limits{Memory: 100 * PageSize, Threads: math.MaxInt})
			left := keep(t, 25*PageSize, 25*PageSize, 25*PageSize, 25*PageSize)
			lack(t)
			if n := left(); n >= 4 {
				t.Errorf("%d pieces are left", n)
			}
		})
	}
}

// What does not help is not given back, and a guest does not wait for it.
func TestSpareThatDoesNotHelpStays(t *testing.T) {
	limited(t, Limits{Memory: 100 * PageSize, Threads: math.MaxInt})
	left := keep(t, 50*PageSize)
	if err := (Budget{}).Charge(101 * PageSize); !errdefs.IsResourceExhausted(err) {
		t.Errorf("charged beyond the budget: %v", err)
	}
	s := spec(t, "grow")
	s.MemoryLimit = 10 * PageSize
	if got := runGuest(t, s); got.Code != 10 || got.Refused != RefusedByLimit {
		t.Errorf("ended with %+v", got)
	}
	if n := left(); n != 1 {
		t.Errorf("%d pieces are left", n)
	}
}

// A guest that waits for what is spare can be ended.
func TestKillWhileAGuestWaitsForSpare(t *testing.T) {
	limited(t, Limits{Memory: 100 * PageSize, Threads: math.MaxInt})
	keep(t, 50*PageSize)
	store.Lock() // nothing is given back
	s := spec(t, "grow_long")
	g := create(t, s)
	err := g.Start()
	time.Sleep(patience.For(20 * time.Millisecond))
	started := time.Now()
	g.Kill()
	<-g.Done()
	took := time.Since(started)
	store.Unlock()
	if got := g.Result(); err != nil || got.Ending != Killed || took > patience.For(400*time.Millisecond) {
		t.Errorf("%v, ended after %v with %+v", err, took, got)
	}
}

// The engine's list of what a guest polls is of the engine's heap.
func TestListsOfHostCallsAreCharged(t *testing.T) {
	const memory, list = 128 * PageSize, 4 << 20
	s := spec(t, "poll_many")
	limited(t, Limits{Memory: memory + list, Threads: 10})
	if got := runGuest(t, s); got.Ending != Trapped || got.Refused != RefusedByBudget {
		t.Errorf("without room for the list, it ended with %+v", got)
	}
	nothingCharged(t)
	SetLimits(Limits{Memory: memory + 8*list, Threads: 10})
	g := started(t, s)
	for deadline := time.Now().Add(patience.For(10 * time.Second)); MemoryUsed() < memory+list; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are charged", MemoryUsed())
		}
	}
	g.Kill()
	<-g.Done()
}
