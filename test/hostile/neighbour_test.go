// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// maxGap is the longest time between two lines of the neighbour: 50 ms when it has a
// processor at once. On two processors with forty busy threads a thread waits for
// twenty time slices of the kernel, of 3 ms each by default. Two seconds are thirty
// times that, for what else the machine does (1.2 s were seen with 160 busy threads),
// and still less than what a liveness probe of kubelet forgives by default: two
// failures of 1 s in a row.
const maxGap = 2 * time.Second

// neighbour is a guest that behaves well, beside the hostile ones.
type neighbour struct {
	*daemon.Container
	longest time.Duration
}

// startNeighbour starts it for the rest of the test.
func startNeighbour(t testing.TB, d *daemon.Daemon) *neighbour {
	t.Helper()
	g := &guest{name: "neighbour", source: filepath.Join("testdata", "neighbour.c")}
	ref, err := g.image(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.NewContainer(t.Context(), daemon.Job{Image: ref})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
	if err := c.CreateTask(); err != nil {
		t.Fatal(err)
	}
	if err := c.Task.Start(c.Ctx); err != nil {
		t.Fatal(err)
	}
	return &neighbour{Container: c}
}

// check waits for the next line, and fails the test if a line is missing, came too
// late, or does not come.
func (n *neighbour) check(t testing.TB) {
	t.Helper()
	before := strings.Count(n.Stdout.String(), "\n")
	daemon.Eventually(t, "a line of the neighbour", func() error {
		if strings.Count(n.Stdout.String(), "\n") == before {
			return fmt.Errorf("there are %d; stderr: %q", before, n.Stderr.String())
		}
		return nil
	})
	longest, err := gaps(n.Stdout.String())
	if err != nil || longest > maxGap {
		t.Errorf("the neighbour waited for %v, at most %v is right (%v)", longest, maxGap, err)
	}
	n.longest = longest
}

// end ends the neighbour, which a hostile guest must not have done.
func (n *neighbour) end(t testing.TB) {
	t.Helper()
	if err := n.Task.Kill(n.Ctx, unix.SIGTERM); err != nil {
		t.Errorf("ending the neighbour: %v", err)
	}
	if code, err := n.Wait(); code != 128+int(unix.SIGTERM) || err != nil {
		t.Errorf("the neighbour ended with exit code %d (%v)", code, err)
	}
}

// gaps reads the neighbour's output and returns the longest time between two lines.
// An error says which line is not there.
func gaps(output string) (longest time.Duration, err error) {
	var last int64
	for i, line := range strings.Split(strings.TrimSuffix(output, "\n"), "\n") {
		var n int
		var ms int64
		if _, err := fmt.Sscanf(line, "%d %d", &n, &ms); err != nil || n != i+1 {
			return longest, fmt.Errorf("line %d is %q: %w", i+1, line, err)
		}
		if i > 0 {
			longest = max(longest, time.Duration(ms-last)*time.Millisecond)
		}
		last = ms
	}
	return longest, nil
}

func TestGaps(t *testing.T) {
	for output, want := range map[string]time.Duration{
		"1 100\n":               0,
		"1 100\n2 150\n3 350\n": 200 * time.Millisecond,
		"1 100\n3 200\n":        -1,
		"1 100\n2 20":           0,
		"1 100\n\n2 200\n":      -1,
		"":                      -1,
	} {
		got, err := gaps(output)
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: got %v, %v, want %v", output, got, err, want)
		}
	}
}
