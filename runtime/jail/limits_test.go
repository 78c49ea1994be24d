// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/seccomp"
	"github.com/containerd-wasm/containerd-wasm/test/kernel"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// limited sets the limits of all guests for one test.
func limited(t *testing.T, l Limits) {
	t.Helper()
	SetLimits(l)
	t.Cleanup(func() {
		SetLimits(Limits{Memory: math.MaxUint64, Threads: math.MaxInt})
		nothingCharged(t)
	})
}

// nothingCharged waits until what guests had that are over is given back.
func nothingCharged(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience.For(5 * time.Second)); MemoryUsed() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes stay charged", MemoryUsed())
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	s := spec(t, "grow")
	s.MemoryLimit = 10*PageSize + 1000
	got := runGuest(t, s)
	if got.Code != 10 || got.Memory != 10*PageSize || got.Refused != RefusedByLimit {
		t.Fatalf("ended with %+v", got)
	}
	s = spec(t, "big")
	s.InitialMemory, s.MemoryLimit = 100*PageSize, 99*PageSize
	err := create(t, s).Start()
	if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "needs 6400 KiB of memory to start, its limit is 6336 KiB") {
		t.Fatalf("started with too little memory: %v", err)
	}
	s.InitialMemory = 0 // what the caller says is not trusted
	if err := create(t, s).Start(); !errdefs.IsResourceExhausted(err) {
		t.Fatalf("started with too little memory: %v", err)
	}
}

func TestBudgetOfAllGuests(t *testing.T) {
	limited(t, Limits{Memory: 100 * PageSize, Threads: math.MaxInt})
	s := spec(t, "grow")
	s.Overhead = 50 * PageSize
	first := create(t, s)
	// It has an instance, of one page, at once or soon after.
	if used := MemoryUsed(); used != 50*PageSize && used != 51*PageSize {
		t.Errorf("%d bytes are charged", used)
	}
	s2 := spec(t, "grow")
	s2.Overhead = 51 * PageSize
	if _, err := New(t.Context(), s2); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "take 3 of the 6 MiB that they may have: raise max_memory") {
		t.Errorf("a guest beyond the budget was made: %v", err)
	}
	s2 = spec(t, "big")
	s2.InitialMemory = 100 * PageSize
	if err := create(t, s2).Start(); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "max_memory") {
		t.Errorf("a guest beyond the budget was started: %v", err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	if got := first.Result(); got.Code != 50 || got.Refused != RefusedByBudget {
		t.Errorf("ended with %+v", got)
	}
	// What one was refused is held against none that gets its thread.
	for range 20 {
		if got := runGuest(t, spec(t, "hello")); got.Ending != Exited || got.Refused != NotRefused {
			t.Fatalf("ended with %+v", got)
		}
	}
}

// A directory that is read takes a buffer of libc's, of 32 KiB to a MiB, for as long as it
// is open.
func TestBuffersOfDirectoriesAreMemory(t *testing.T) {
	const pages, smallest, largest = 40, 32 << 10, 1<<20 + PageSize
	many := func(t *testing.T, s *Spec, refused Refusal) {
		got := runGuest(t, s)
		if n := uint64(got.Code); got.Ending != Exited || n == 0 || n > (pages-1)*PageSize/smallest || got.Refused != refused {
			t.Fatalf("ended with %+v", got)
		}
		if got.Memory > pages*PageSize || got.Memory+largest < pages*PageSize {
			t.Errorf("has %d bytes of %d", got.Memory, pages*PageSize)
		}
	}
	t.Run("limit", func(t *testing.T) {
		limited(t, Limits{Memory: math.MaxUint64, Threads: math.MaxInt})
		s := spec(t, "directories")
		s.MemoryLimit = pages * PageSize
		many(t, s, RefusedByLimit)
	})
	t.Run("budget", func(t *testing.T) {
		limited(t, Limits{Memory: pages * PageSize, Threads: math.MaxInt})
		many(t, spec(t, "directories"), RefusedByBudget)
	})
	t.Run("closed", func(t *testing.T) {
		limited(t, Limits{Memory: math.MaxUint64, Threads: math.MaxInt})
		s := spec(t, "directories")
		s.MemoryLimit, s.Args = pages*PageSize, append(s.Args, "closes")
		if got := runGuest(t, s); got.Ending != Exited || got.Code != 5000 || got.Memory != PageSize || got.Refused != NotRefused {
			t.Errorf("ended with %+v", got)
		}
	})
	t.Run("beside", func(t *testing.T) { // what one had is there for the next
		s := spec(t, "spin")
		s.MemoryLimit = pages * PageSize
		s = beside(t, started(t, s), "directories")
		first := runGuest(t, s).Code
		for range 20 {
			if got := runGuest(t, s); got.Code != first || got.Refused != RefusedByLimit {
				t.Fatalf("ended with %+v, the first one with %d", got, first)
			}
		}
	})
}

// What a guest had is there for the next one as soon as its end is known: of what the
// daemon has, and of what the container has, for execs.
func TestMemoryOfTheLastIsForTheNext(t *testing.T) {
	const runs = 200
	ends := func(t *testing.T, s *Spec) {
		for range runs {
			if got := runGuest(t, s); got.Ending != Exited || got.Refused != NotRefused {
				t.Fatalf("ended with %+v", got)
			}
		}
	}
	t.Run("overhead", func(t *testing.T) {
		limited(t, Limits{Memory: 111 * PageSize, Threads: math.MaxInt})
		s := spec(t, "hello")
		s.Overhead, s.InitialMemory = 110*PageSize, PageSize
		ends(t, s)
	})
	t.Run("memory", func(t *testing.T) {
		limited(t, Limits{Memory: 111 * PageSize, Threads: math.MaxInt})
		s := spec(t, "big")
		s.Overhead, s.InitialMemory = 10*PageSize, 100*PageSize
		ends(t, s)
	})
	t.Run("limit", func(t *testing.T) {
		s := spec(t, "spin")
		s.MemoryLimit = 101 * PageSize
		g := create(t, s)
		if err := g.Start(); err != nil {
			t.Fatal(err)
		}
		s = beside(t, g, "big")
		s.InitialMemory = 100 * PageSize
		ends(t, s)
		s = beside(t, g, "grow") // as far as it can, and tells how far that is
		for range runs {
			if got := runGuest(t, s); got.Code != 100 {
				t.Fatalf("ended with %+v", got)
			}
		}
	})
}

// A guest waits for what another one had by no call that its profile could end it for.
func TestProfileOfAGuestThatWaitsForMemory(t *testing.T) {
	spec(t, "hello")
	profile, err := seccomp.Compile(&specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"nanosleep", "clock_nanosleep"}, Action: specs.ActKill}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := spec(t, "spin")
	s.MemoryLimit = 101 * PageSize
	s = beside(t, started(t, s), "grow")
	s.Seccomp = profile
	for range 200 {
		if got := runGuest(t, s); got.Ending != Exited || got.Code != 100 {
			t.Fatalf("ended with %+v", got)
		}
	}
}

func TestMemoryLimitChanges(t *testing.T) {
	s := spec(t, "grow_twice")
	s.MemoryLimit = 4 * PageSize
	stdin := filepath.Join(t.TempDir(), "stdin")
	if err := unix.Mkfifo(stdin, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Stdio[0] = File{Path: stdin, Flags: unix.O_RDWR}
	g := create(t, s)
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience.For(10 * time.Second)); g.Memory() < 4*PageSize; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it has %d bytes", g.Memory())
		}
	}
	if err := g.SetMemoryLimit(3 * PageSize); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a limit below what it has: %v", err)
	}
	if err := g.SetMemoryLimit(9 * PageSize); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stdin, []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	<-g.Done()
	if got := g.Result(); got.Code != 9 || got.Refused != RefusedByLimit {
		t.Errorf("ended with %+v", got)
	}
	if err := g.SetMemoryLimit(0); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a guest that is over: %v", err)
	}
}

// What is refused is never charged, not even for a moment in which others are refused, too.
func TestWhatIsRefusedIsNotCharged(t *testing.T) {
	const pages = 5000
	limited(t, Limits{Memory: (pages + 1) * PageSize, Threads: math.MaxInt})
	big := spec(t, "hello")
	big.Overhead = (pages + 2) * PageSize
	stop := make(chan struct{})
	var refused sync.WaitGroup
	for range 2 {
		refused.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := New(t.Context(), big); !errdefs.IsResourceExhausted(err) {
					t.Errorf("a guest beyond the budget was made: %v", err)
					return
				}
			}
		})
	}
	s := spec(t, "grow") // a page at a time
	s.MemoryLimit = pages * PageSize
	for range 3 {
		if got := runGuest(t, s); got.Code != pages || got.Refused != RefusedByLimit {
			t.Errorf("ended with %+v", got)
		}
		time.Sleep(time.Millisecond) // for what it had
	}
	close(stop)
	refused.Wait()
}

// A guest that is refused gives back the thread that was made in advance, as it was.
func TestRefusedGuestsLeaveThreadsAsTheyWere(t *testing.T) {
	limited(t, Limits{Memory: 100 * PageSize, Threads: math.MaxInt})
	s := spec(t, "hello")
	runGuest(t, s) // and with it all spare threads
	before := threads(t)
	s.Overhead = 101 * PageSize
	for range 100 {
		if _, err := New(t.Context(), s); !errdefs.IsResourceExhausted(err) {
			t.Fatalf("a guest beyond the budget was made: %v", err)
		}
	}
	const spares = 8
	time.Sleep(patience.For(200 * time.Millisecond)) // for those that are being made
	if after := threads(t); after > before+spares {
		t.Errorf("there are %d threads, and were %d", after, before)
	}
	nothingCharged(t)
	s.Overhead = 0
	for range 2 * spares {
		if got := runGuest(t, s); got.Ending != Exited || got.Refused != NotRefused {
			t.Fatalf("ended with %+v", got)
		}
	}
}

func threads(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestStackCountsAgainstTheBudget(t *testing.T) {
	limited(t, Limits{Memory: 2 * PageSize, Threads: math.MaxInt})
	for _, module := range []string{"recurse", "recurse_host"} {
		for _, size := range []uint64{256 << 10, 64 << 20} {
			s := spec(t, module)
			s.StackSize = size
			if got := runGuest(t, s); got.Ending != Overflowed || got.Refused != RefusedByBudget {
				t.Errorf("%s with %d bytes ended with %+v", module, size, got)
			}
		}
	}
}

func TestNumberOfThreads(t *testing.T) {
	limited(t, Limits{Memory: math.MaxUint64, Threads: 2})
	create(t, spec(t, "spin"))
	create(t, &Spec{})
	if _, err := New(t.Context(), spec(t, "spin")); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "max_guests") {
		t.Errorf("a third thread was made: %v", err)
	}
}

// However a guest goes about it, it has no more mappings than max_guests reckons with:
// when the kernel's limit is reached, Go's runtime ends the daemon.
func TestMappingsOfAGuest(t *testing.T) {
	const guests = 50
	t.Run("before", func(t *testing.T) { makeWide(t, guests) }) // libc keeps its arenas, which are not the guests'
	before := kernel.Mappings(t)
	makeWide(t, guests)
	n := kernel.Mappings(t) - before
	t.Logf("%d guests have %d mappings", guests, n)
	if n > guests*MapsPerThread {
		t.Errorf("%d guests have %d mappings, more than %d each", guests, n, MapsPerThread)
	}
}

// makeWide makes guests that have all that they can, until the end of the test.
func makeWide(t *testing.T, guests int) {
	t.Helper()
	var all []*Guest
	var outs []func() string
	for range guests {
		s := spec(t, "wide")
		s.Mounts, s.Masked, s.Readonly = []Mount{{Target: "/a"}, {Target: "/b"}}, []string{"/a"}, []string{"/b"}
		outs = append(outs, stdout(t, s))
		all = append(all, started(t, s))
	}
	for i, out := range outs {
		for deadline := time.Now().Add(patience.For(10 * time.Second)); out() == ""; time.Sleep(time.Millisecond) {
			if over(all[i]) || time.Now().After(deadline) {
				t.Fatal("a guest did not take all that it can")
			}
		}
	}
}

func TestMaxFiles(t *testing.T) {
	const byDefault = 16384
	allowFiles(t, byDefault+1000)
	for _, tc := range []struct {
		limit, want int
		masked      []string // what isolating it opens does not count
	}{
		{100, 100, nil},
		{5, 5, nil},
		{5, 5, []string{"/etc"}},
		{0, byDefault, nil},
		{byDefault + 1, byDefault, nil},
	} {
		s := spec(t, "files")
		s.MaxFiles, s.Masked = tc.limit, tc.masked
		s.Mounts = []Mount{{Target: "/etc"}}
		// 0 to 2 are stdio, 3 is the preopened directory.
		if got := runGuest(t, s); got.Ending != Exited || int(got.Code) != tc.want-4 {
			t.Errorf("%+v: ended with %+v", tc, got)
		}
	}
}

// allowFiles makes sure that the kernel lets this process open so many, for one test.
func allowFiles(t *testing.T, n uint64) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if before.Cur >= n {
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: max(n, before.Max)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
}

// A guest is told by its own log why it could not have what it asked for.
func TestRefusalIsInTheGuestsLog(t *testing.T) {
	s := spec(t, "grow")
	s.MemoryLimit = 10 * PageSize
	s.Stdio[2] = File{Path: filepath.Join(t.TempDir(), "stderr"), Flags: outputFlags}
	runGuest(t, s)
	if got := content(t, s.Stdio[2].Path); got != "WebAssembly: the memory limit was reached\n" {
		t.Fatalf("stderr is %q", got)
	}
}
