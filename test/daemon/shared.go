// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/testutil"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// closers end the shared daemons of this test binary.
var closers struct {
	sync.Mutex
	list []func() error
}

// RunTests is m.Run, after which it ends all shared daemons. It returns the code to
// exit with.
func RunTests(m *testing.M) int {
	code := m.Run()
	closers.Lock()
	defer closers.Unlock()
	for _, end := range closers.list {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// Shared returns a function that gives every test the same daemon, which is started
// for the first one and prepared with setup. Each test fails if the daemon dies
// during it, or has more of anything afterwards than before (Resources). Tests that
// share a daemon must not be parallel.
func Shared(setup func(testing.TB, *Daemon), opts ...Option) func(testing.TB) *Daemon {
	start := sync.OnceValues(func() (*Daemon, error) {
		// It outlives the first test, and so that test's context.
		d, err := New(context.Background(), opts...)
		if err == nil {
			closers.Lock()
			closers.list = append(closers.list, d.Close)
			closers.Unlock()
		}
		return d, err
	})
	var prepare sync.Once
	return func(t testing.TB) *Daemon {
		t.Helper()
		testutil.RequiresRoot(t)
		d, err := start()
		if err != nil {
			t.Fatal(err)
		}
		prepare.Do(func() {
			setup(t, d)
			d.awaitCompilers()
		})
		d.watch(t)
		return d
	}
}

// awaitCompilers waits for those that the images of a set-up have begun, or else a slow
// machine would find them left behind by the first test.
func (d *Daemon) awaitCompilers() {
	compiles := func(p Process) bool { return strings.HasPrefix(p.Command, "containerd-wasm-compile") }
	for deadline := time.Now().Add(patience.For(time.Minute)); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if !slices.ContainsFunc(d.Processes(), compiles) {
			return
		}
	}
}

func (d *Daemon) watch(t testing.TB) {
	t.Helper()
	if !d.Alive() {
		t.Fatal("the daemon died in an earlier test")
	}
	from, before := d.logSize(), d.Resources(t)
	t.Cleanup(func() {
		if !d.Alive() {
			t.Error("the daemon died")
		} else if !t.Failed() {
			d.CheckLeaks(t, before)
		}
		if t.Failed() {
			t.Logf("log of the daemon during this test:\n%s", d.Log(from))
		}
	})
}
