// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stateEnv makes this binary a daemon that is killed.
const stateEnv = "CGROUP_TEST_STATE"

// The process's groups are those of its first thread, which no test may move.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if state := os.Getenv(stateEnv); state != "" {
		os.Exit(daemonToBeKilled(state))
	}
	// A thread that has to wait for its turn keeps its place in Go's scheduler.
	runtime.GOMAXPROCS(8)
	os.Exit(m.Run())
}

// openRoot opens a place that is removed with the test.
func openRoot(t testing.TB, state string) *Root {
	t.Helper()
	r := Open(t.Context(), state)
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() {
		r.lock.Close()
		// A spare may be in the making.
		eventually(t, "the groups to be removed", func() error {
			return errors.Join(r.place.clean(), unix.Rmdir(r.place.dir))
		})
	})
	return r
}

func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for err := f(); err != nil; err = f() {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		time.Sleep(time.Millisecond)
	}
}

func newGroup(t testing.TB, r *Root, text string) *Group {
	t.Helper()
	g, err := r.New(resources(t, text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Delete(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// thread is in a group as a guest's is, and uses all the CPU time it gets.
type thread struct {
	tid        int
	start, end atomic.Bool
	cpu        chan time.Duration // used between start and end
}

// newThread makes one that moves itself to a group, and waits.
func newThread(file string) (*thread, error) {
	th := &thread{cpu: make(chan time.Duration)}
	ready := make(chan error)
	go th.run(file, ready)
	return th, <-ready
}

func join(t testing.TB, g *Group) *thread {
	t.Helper()
	file := g.Join()
	th, err := newThread(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Pin(th.tid, file); err != nil {
		t.Fatal(err)
	}
	return th
}

func (th *thread) run(file string, ready chan<- error) {
	runtime.LockOSThread() // and never unlocks: the thread ends here
	th.tid = unix.Gettid()
	var err error
	if file != "" {
		err = write(file, "0")
	}
	ready <- err
	for !th.start.Load() && !th.end.Load() {
		time.Sleep(time.Millisecond)
	}
	before := threadTime()
	for range math.MaxInt {
		if th.end.Load() {
			break
		}
	}
	th.cpu <- threadTime() - before
}

func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// used is the thread's CPU time so far.
func (th *thread) used(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", th.tid))
	if err != nil {
		t.Fatal(err)
	}
	ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ns)
}

// stop ends the thread and tells how much CPU time it got.
func (th *thread) stop() time.Duration {
	th.end.Store(true)
	return <-th.cpu
}

// threads are those in a group, from its file.
func threads(t testing.TB, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

func value(t testing.TB, g *Group, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(filepath.Dir(g.Join()), file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func (r *Root) sharesFile() string {
	if r.place.v2 {
		return "cpu.weight"
	}
	return "cpu.shares"
}

func (r *Root) limitFile() string {
	if r.place.v2 {
		return "cpu.max"
	}
	return "cpu.cfs_quota_us"
}

// throttled is how often the group had to wait.
func throttled(t *testing.T, g *Group) int {
	t.Helper()
	for line := range strings.Lines(value(t, g, "cpu.stat")) {
		if n, ok := strings.CutPrefix(line, "nr_throttled "); ok {
			v, err := strconv.Atoi(strings.TrimSpace(n))
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatal("no nr_throttled in cpu.stat")
	return 0
}
