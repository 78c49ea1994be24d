// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestThreadJoins(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	g := newGroup(t, r, `{"cpu":{"shares":2}}`)
	th := join(t, g)
	defer th.stop()
	if in := threads(t, g.Join()); !slices.Equal(in, []string{strconv.Itoa(th.tid)}) {
		t.Errorf("in the group: %v, want %d", in, th.tid)
	}
	want := map[bool]string{false: "2", true: "1"}[r.place.v2]
	if got := value(t, g, r.sharesFile()); got != want {
		t.Errorf("shares are %s, want %s", got, want)
	}
}

func TestGuestThatAsksForNothingIsInThePlace(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	g := newGroup(t, r, `{"cpu":{"shares":1024,"period":100000,"quota":-1}}`)
	if g.Join() != "" {
		t.Errorf("its thread has to move to %s", g.Join())
	}
	// As a thread that makes guest threads does.
	th, err := newThread(r.Join())
	if err != nil {
		t.Fatal(err)
	}
	defer th.stop()
	if in := threads(t, r.Join()); !slices.Equal(in, []string{strconv.Itoa(th.tid)}) {
		t.Errorf("in the place: %v, want %d", in, th.tid)
	}
}

func TestQuota(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	g := newGroup(t, r, `{"cpu":{"quota":20000,"period":100000}}`)
	checkQuota(t, g, join(t, g))
}

// checkQuota lets a thread with 20 % of a CPU run until it was stopped for a
// while.
func checkQuota(t *testing.T, g *Group, th *thread) {
	t.Helper()
	before := throttled(t, g)
	start := time.Now()
	th.start.Store(true)
	time.Sleep(time.Second)
	eventually(t, "the thread to be throttled", func() error {
		if throttled(t, g) == before {
			return errors.New("it is not")
		}
		return nil
	})
	cpu, wall := th.stop(), time.Since(start)
	// A period that was under way at either end counts whole.
	if limit := wall/5 + 60*time.Millisecond; cpu > limit {
		t.Errorf("the thread had %v of CPU time in %v, more than %v", cpu, wall, limit)
	}
}

func TestShares(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	cpu := firstCPU(t)
	var all [2]*thread
	for i, shares := range []int{2048, 2} {
		g := newGroup(t, r, fmt.Sprintf(`{"cpu":{"shares":%d,"cpus":"%d"}}`, shares, cpu))
		all[i] = join(t, g)
	}
	for _, th := range all {
		th.start.Store(true)
	}
	defer all[0].stop()
	defer all[1].stop()
	eventually(t, "2048 shares to get more than 2", func() error {
		many, few := all[0].used(t), all[1].used(t)
		time.Sleep(time.Second)
		if many, few = all[0].used(t)-many, all[1].used(t)-few; many < 4*few || many == 0 {
			return fmt.Errorf("2048 shares got %v in a second, 2 shares %v", many, few)
		}
		return nil
	})
}

// All guests together weigh as much as one of the daemon's threads, however many spin: of
// 17 equal threads, it would get a sixteenth of what the others do. What else the daemon's
// group has on other processors takes from its weight on this one.
func TestGuestsWeighAsOneThread(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	cpus := unix.NewCPUSet(maxCPUs)
	cpus.Set(firstCPU(t))
	var all []*thread
	for _, file := range append([]string{""}, slices.Repeat([]string{r.Join()}, 16)...) {
		th, err := newThread(file)
		if err != nil {
			t.Fatal(err)
		}
		defer th.stop()
		// A group has no niceness, which the test may have been given.
		if err := errors.Join(unix.SchedSetaffinityDynamic(th.tid, cpus), unix.Setpriority(unix.PRIO_PROCESS, th.tid, 0)); err != nil {
			t.Fatal(err)
		}
		all = append(all, th)
	}
	for _, th := range all {
		th.start.Store(true)
	}
	used := func() (daemons, guests time.Duration) {
		for _, th := range all[1:] {
			guests += th.used(t)
		}
		return all[0].used(t), guests
	}
	eventually(t, "a thread of the daemon to get a share", func() error {
		daemons, guests := used()
		time.Sleep(time.Second)
		d, g := used()
		if daemons, guests = d-daemons, g-guests; daemons == 0 || 10*daemons < guests {
			return fmt.Errorf("in a second it got %v, the guests %v", daemons, guests)
		}
		return nil
	})
}

func TestPin(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	cpu := firstCPU(t)
	g := newGroup(t, r, fmt.Sprintf(`{"cpu":{"cpus":"%d"}}`, cpu))
	th := join(t, g)
	defer th.stop()
	got := unix.NewCPUSet(maxCPUs)
	if err := unix.SchedGetaffinityDynamic(th.tid, got); err != nil || got.Count() != 1 || !got.IsSet(cpu) {
		t.Errorf("CPUs %v, %v", got, err)
	}
	if err := g.Pin(1<<30, g.Join()); !errors.Is(err, unix.ESRCH) {
		t.Errorf("a thread that does not exist: %v", err)
	}
}

func TestGroupsAreUsedAgain(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	seen := map[string]bool{}
	for i := range 50 {
		for _, text := range []string{`{"cpu":{"shares":2}}`, `{"cpu":{"shares":500,"quota":50000,"burst":10000}}`, `{"cpu":{"idle":1}}`} {
			g, err := r.New(resources(t, text))
			if err != nil {
				t.Fatal(i, err)
			}
			join(t, g).stop()
			seen[g.Join()] = true
			if err := errors.Join(g.Delete(), g.Delete()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(seen) > 5 {
		t.Errorf("%d groups for one guest at a time", len(seen))
	}
	g := newGroup(t, r, `{"cpu":{"shares":2}}`)
	want := map[bool][2]string{false: {"2", "-1"}, true: {"1", "max 100000"}}[r.place.v2]
	if got := [2]string{value(t, g, r.sharesFile()), value(t, g, r.limitFile())}; got != want {
		t.Errorf("a used group has %v, want %v", got, want)
	}
}

func TestManyGroupsEnd(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	var all []*Group
	for range 2 * maxFree {
		all = append(all, newGroup(t, r, `{"cpu":{"shares":2}}`))
	}
	for _, g := range all {
		if err := g.Delete(); err != nil {
			t.Fatal(err)
		}
	}
	if left := groupsIn(t, r.place.dir); len(left) > maxFree+1 {
		t.Errorf("%d groups are kept", len(left))
	}
}

func groupsIn(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out
}

func TestUpdate(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	g := newGroup(t, r, `{}`)
	if err := g.Update(resources(t, `{"cpu":{"shares":2}}`)); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("without a thread: %v", err)
	}
	th := join(t, g)
	for _, text := range []string{`{"cpu":{"quota":20000,"burst":5000}}`, `{"cpu":{"burst":0,"shares":500}}`} {
		if err := g.Update(resources(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	if in := threads(t, g.Join()); !slices.Equal(in, []string{strconv.Itoa(th.tid)}) {
		t.Errorf("in the group: %v, want %d", in, th.tid)
	}
	if err := g.Update(resources(t, `{"cpu":{"shares":1}}`)); !errdefs.IsInvalidArgument(err) {
		t.Errorf("invalid shares: %v", err)
	}
	checkQuota(t, g, th)
	eventually(t, "the thread to be gone", func() error {
		err := g.Update(resources(t, `{"cpu":{"quota":-1}}`))
		if !errdefs.IsFailedPrecondition(err) {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
}

func TestHurry(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	g := newGroup(t, r, `{"cpu":{"shares":2,"quota":1000,"period":1000000}}`)
	th := join(t, g)
	th.start.Store(true)
	eventually(t, "the thread to be throttled", func() error {
		if throttled(t, g) == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	if err := g.Hurry(); err != nil {
		t.Fatal(err)
	}
	want := map[bool][2]string{false: {"262144", "-1"}, true: {"10000", "max 100000"}}[r.place.v2]
	if got := [2]string{value(t, g, r.sharesFile()), value(t, g, r.limitFile())}; got != want {
		t.Errorf("the group has %v, want %v", got, want)
	}
	if err := g.Update(resources(t, `{"cpu":{"shares":2}}`)); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("updating a guest that is to end: %v", err)
	}
	th.stop()
	if err := g.Delete(); err != nil {
		t.Fatal(err)
	}
	// The next guest has no more than it asked for.
	g = newGroup(t, r, `{"cpu":{"shares":2,"quota":1000,"period":1000000}}`)
	want = map[bool][2]string{false: {"2", "1000"}, true: {"1", "1000 1000000"}}[r.place.v2]
	if got := [2]string{value(t, g, r.sharesFile()), value(t, g, r.limitFile())}; got != want {
		t.Errorf("the next group has %v, want %v", got, want)
	}
}

// daemonToBeKilled has groups, one with a thread in it, and prints its path.
func daemonToBeKilled(state string) int {
	r := Open(context.Background(), state)
	shares := uint64(500)
	var g *Group
	for range 10 {
		var err error
		if g, err = r.New(&specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares}}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if _, err := newThread(g.Join()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, filepath.Dir(g.Join()))
	time.Sleep(time.Hour)
	return 0
}

func TestKilledDaemonsGroupsAreRemoved(t *testing.T) {
	testutil.RequiresRoot(t)
	state := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), stateEnv+"="+state)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	group, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	group = strings.TrimSpace(group)

	// While it lives, its groups are its own.
	second := Open(t.Context(), state)
	if _, err := second.New(resources(t, `{"cpu":{"shares":2}}`)); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "another daemon") {
		t.Errorf("a second daemon with the same state directory: %v", err)
	}
	if second.Join() != "" {
		t.Error("the second daemon puts threads into the first one's groups")
	}
	openRoot(t, t.TempDir()) // nor does one with another directory touch them
	if _, err := os.Stat(group); err != nil {
		t.Errorf("the first daemon's group: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	r := openRoot(t, state)
	if left := groupsIn(t, r.place.dir); len(left) != 1 {
		t.Errorf("groups after the next start: %v, want a spare", left)
	}
}
