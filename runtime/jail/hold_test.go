// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"os"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

func pause(t *testing.T, g *Guest) {
	t.Helper()
	if err := g.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func resume(t *testing.T, g *Guest) {
	t.Helper()
	if err := g.Resume(); err != nil {
		t.Fatal(err)
	}
}

func started(t *testing.T, s *Spec) *Guest {
	t.Helper()
	g := create(t, s)
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	return g
}

func over(g *Guest) bool {
	select {
	case <-g.Done():
		return true
	default:
		return false
	}
}

func TestPausedGuestRunsNoCode(t *testing.T) {
	g := started(t, spec(t, "spin"))
	for range 20 {
		pause(t, g)
		runsNone(t, g, 10*time.Millisecond)
		before := g.CPUTime()
		resume(t, g)
		for g.CPUTime()-before < time.Millisecond {
			time.Sleep(time.Millisecond)
		}
	}
}

// runsNone looks whether a guest that is held runs for some of the given time. In an
// emulated machine the end of its handler takes milliseconds, as do those in which the
// whole machine does not run: there it looks more than once.
func runsNone(t *testing.T, g *Guest, d time.Duration) {
	t.Helper()
	var ran time.Duration
	for range int(patience.For(1)) {
		before := g.CPUTime()
		time.Sleep(d)
		if ran = g.CPUTime() - before; ran <= d/10 {
			return
		}
	}
	t.Fatalf("the guest ran for %v of %v while it was paused", ran, d)
}

// What a blocking call waits for may come while the guest is paused; the guest
// sees it when it is resumed, and never an interruption.
func TestPauseIsNotSeenByTheGuest(t *testing.T) {
	for _, tc := range []struct {
		module string
		code   uint32
	}{
		{"sleep", 0},
		{"line", 5},
	} {
		t.Run(tc.module, func(t *testing.T) {
			s := spec(t, tc.module)
			blocked(t, s)
			g := started(t, s)
			time.Sleep(20 * time.Millisecond)
			pause(t, g)
			if err := os.WriteFile(s.Stdio[0].Path, []byte("line\n"), 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(200 * time.Millisecond)
			if over(g) {
				t.Fatal("the guest went on while it was paused")
			}
			resume(t, g)
			<-g.Done()
			if got := g.Result(); got.Ending != Exited || got.Code != tc.code {
				t.Fatalf("ended with %+v", got)
			}
		})
	}
}

func TestPauseAndResumeOften(t *testing.T) {
	for _, module := range []string{"sleep", "grow"} {
		s := spec(t, module)
		s.MemoryLimit = 1000 * PageSize
		g := started(t, s)
		for !over(g) {
			if err := g.Pause(t.Context()); err != nil {
				break // it is over
			}
			resume(t, g)
			time.Sleep(time.Millisecond)
		}
		<-g.Done()
		if got := g.Result(); got.Ending != Exited || module == "sleep" && got.Code != 0 || module == "grow" && got.Code != 1000 {
			t.Fatalf("%s ended with %+v", module, got)
		}
	}
}

func TestKillWhilePaused(t *testing.T) {
	for _, kill := range kills {
		t.Run(kill, func(t *testing.T) {
			endPromptly(t, func() *Guest {
				g := started(t, killSpec(t, kill))
				if err := g.Pause(t.Context()); err != nil && !errdefs.IsFailedPrecondition(err) {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Millisecond)
				return g
			})
		})
	}
}

func TestPauseErrors(t *testing.T) {
	g := started(t, spec(t, "spin"))
	if err := g.Resume(); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("resumed a guest that runs: %v", err)
	}
	pause(t, g)
	if err := g.Pause(t.Context()); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("paused twice: %v", err)
	}
	g.Kill()
	<-g.Done()
	g = started(t, spec(t, "hello"))
	<-g.Done()
	if err := g.Pause(t.Context()); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("paused a guest that is over: %v", err)
	}
}

// A guest that is paused again just as it goes on is held, too.
func TestPauseRightAfterResume(t *testing.T) {
	g := started(t, spec(t, "spin"))
	pause(t, g)
	for i := range 300 {
		resume(t, g)
		time.Sleep(time.Duration(i) * time.Microsecond)
		pause(t, g)
		runsNone(t, g, 5*time.Millisecond)
	}
}
