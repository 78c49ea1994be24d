// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"sync"
	"testing"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// TestOneByOne runs each guest beside the neighbour, and looks after each whether
// the daemon is what it was before.
func TestOneByOne(t *testing.T) {
	d, s, n := prepare(t)
	guests, err := all()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range guests {
		t.Run(g.name, func(t *testing.T) {
			shared(t) // fails the test if this guest leaves something behind
			if err := s.run(t.Context(), g); err != nil {
				t.Error(err)
			}
			s.checkDaemon(t)
			n.check(t)
		})
		if !d.Alive() {
			break
		}
	}
	n.end(t)
}

// TestTogether runs the guests together, many at a time, but for those that need too
// much of the machine for that.
func TestTogether(t *testing.T) {
	together(t, (*suite).run)
}

// TestKilledAtAnyMoment runs the same guests together, and kills each some milliseconds
// after its start, wherever it is.
func TestKilledAtAnyMoment(t *testing.T) {
	together(t, (*suite).runKilled)
}

// together calls run for the guests beside the neighbour, 16 at a time.
func together(t *testing.T, run func(*suite, context.Context, *guest) error) {
	const atOnce = 16
	_, s, n := prepare(t)
	guests, err := all()
	if err != nil {
		t.Fatal(err)
	}
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for _, g := range guests {
		if g.header.alone != "" {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := run(s, t.Context(), g); err != nil {
				t.Errorf("%s: %v", g.name, err)
			}
		})
	}
	wg.Wait()
	s.checkDaemon(t)
	n.check(t)
	n.end(t)
}

func prepare(t *testing.T) (*daemon.Daemon, *suite, *neighbour) {
	t.Helper()
	d := shared(t)
	n := startNeighbour(t, d)
	t.Cleanup(func() { t.Logf("the longest time between two lines of the neighbour was %v", n.longest) })
	return d, newSuite(t, d), n
}
