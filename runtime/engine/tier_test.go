// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// tieredConfig optimizes, and keeps what it makes in s.
func tieredConfig(t *testing.T, s Store) Config {
	cfg := testConfig(t)
	cfg.Store, cfg.Optimize = s, 2
	return cfg
}

// awaitOptimized lends the compiler a processor: on a machine that is busy it would
// have none for as long.
func awaitOptimized(t *testing.T, done func() bool) {
	t.Helper()
	eventually(t, "the module is optimized", func() bool {
		for _, child := range compileChildren(t, os.Getpid()) {
			threads, _ := os.ReadDir("/proc/" + child + "/task")
			for _, thread := range threads {
				if tid, err := strconv.Atoi(thread.Name()); err == nil {
					_ = unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr}, 0) // it may have ended
				}
			}
		}
		return done()
	})
}

func load(t *testing.T, e *Engine, f *os.File) *Module {
	t.Helper()
	m, err := e.Load(t.Context(), f, Use{Container: "c", Sealed: true})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// withStart has what Confine changes: custom sections, a start function, a table
// without a maximum.
const withStart = `(module (table 1 funcref) (memory 1) (func $init i32.const 0 i32.const 1 i32.store) (start $init)
	(func (export "_start")))`

func TestOptimizedInTheBackground(t *testing.T) {
	store := newMemStore()
	e, compiled := newEngine(t, tieredConfig(t, store))
	f := open(t, file(t, "app.wasm", wat(t, withStart)))
	before := nativeMappings(t)
	first := load(t, e, f)
	if first.Tier() != Tier0 {
		t.Errorf("the first start has tier %v", first.Tier())
	}
	fast := e.record(first.Digest(), rules{}, 2)
	awaitOptimized(t, func() bool { return has(store, fast.Key) })
	second := load(t, e, f)
	if second.Tier() != 2 || second.AST() == first.AST() || second.Digest() != first.Digest() {
		t.Errorf("the next start has tier %v", second.Tier())
	}
	if a, b := len(first.AST().ListExports()), len(second.AST().ListExports()); a != b {
		t.Errorf("%d exports, and optimized %d", a, b)
	}
	if n := nativeMappings(t); n != before+2 {
		t.Errorf("%d modules loaded, want 2", n-before)
	}
	first.Release()
	if n := nativeMappings(t); n != before+1 {
		t.Errorf("%d modules loaded after the last user of the first tier, want 1", n-before)
	}
	second.Release()
	load(t, e, f).Release()
	if n := compiled.Load(); n != 2 {
		t.Errorf("%d compilations, want one for each tier", n)
	}
	eventually(t, "the lane is empty", func() bool { return e.Stats().Optimizing == 0 })
	stats := e.Stats()
	if len(stats.Compilations) != 2 || stats.Compilations[0].Result != "ok" || stats.Compilations[1].Tier != 2 || stats.Optimizing != 0 {
		t.Errorf("%+v", stats)
	}
	if store.uses < 3 {
		t.Errorf("the store was told of %d uses", store.uses)
	}
}

// A module that cannot be optimized stays as it is, and nobody tries again, also
// after a restart.
func TestFailedOptimizationIsNoted(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		again int32
	}{
		"too large":   {fmt.Errorf("needs more memory: %w", errdefs.ErrResourceExhausted), 0},
		"crash":       {fmt.Errorf("crashed: %w", errdefs.ErrInternal), 0},
		"unavailable": {fmt.Errorf("no room: %w", errdefs.ErrUnavailable), 1},
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemStore()
			f := open(t, file(t, "app.wasm", tiny(t)))
			tried := func() (n int32) {
				e, _ := newEngine(t, tieredConfig(t, store))
				compile := e.compile
				var mu sync.Mutex
				e.compile = func(ctx context.Context, img *image, o order) error {
					if o.Tier == Tier0 {
						return compile(ctx, img, o)
					}
					mu.Lock()
					defer mu.Unlock()
					n++
					return c.err
				}
				for range 3 {
					m := load(t, e, f)
					if m.Tier() != Tier0 {
						t.Errorf("tier %v", m.Tier())
					}
					m.Release()
					eventually(t, "the lane is empty", func() bool { return e.Stats().Optimizing == 0 })
				}
				mu.Lock()
				defer mu.Unlock()
				return n
			}
			if n := tried(); n != 1 {
				t.Errorf("tried %d times, want 1", n)
			}
			if n := tried(); n != c.again {
				t.Errorf("tried %d times after a restart, want %d", n, c.again)
			}
		})
	}
}

// Optimized code that is damaged costs a start nothing but the optimization.
func TestDamagedOptimizedCode(t *testing.T) {
	store := newMemStore()
	e, _ := newEngine(t, tieredConfig(t, store))
	f := open(t, file(t, "app.wasm", tiny(t)))
	load(t, e, f).Release()
	fast := e.record(digest.FromBytes(tiny(t)), rules{}, 2).Key
	for range 2 {
		awaitOptimized(t, func() bool {
			load(t, e, f).Release() // which asks for it
			return has(store, fast)
		})
		m := load(t, e, f)
		if m.Tier() != 2 {
			t.Errorf("tier %v", m.Tier())
		}
		m.Release()
		eventually(t, "the module is unloaded", func() bool { return e.Stats().Modules == 0 })
		store.damage(t, fast)
		if m = load(t, e, f); m.Tier() != Tier0 {
			t.Errorf("tier %v of damaged code", m.Tier())
		}
		m.Release()
	}
}

// TestSecondStart: no compilation, no validation, no read of the module or of its
// code. And with code from an unpacking, the first one waits for nothing.
func TestSecondStart(t *testing.T) {
	var mu sync.Mutex
	var waits int
	cfg := testConfig(t)
	cfg.Store, cfg.IdleTime = newMemStore(), time.Minute
	cfg.OnWait = func(Wait) {
		mu.Lock()
		defer mu.Unlock()
		waits++
	}
	e, compiled := newEngine(t, cfg)
	f := open(t, file(t, "app.wasm", tiny(t)))
	rec, err := e.Precompile(t.Context(), f)
	if err != nil || rec != e.record(digest.FromBytes(tiny(t)), rules{}, Tier0) {
		t.Fatalf("%+v, %v", rec, err)
	}
	if s := e.Stats(); s.Loads != 0 || s.Modules != 0 || s.ModuleReads != 1 {
		t.Errorf("unpacking loads the module: %+v", s)
	}
	load(t, e, f).Release()
	first := e.Stats()
	if first.Loads != 1 || first.StoreHits != 1 || first.Misses != 0 || first.ModuleReads != 1 || first.Modules != 1 || first.LoadedBytes == 0 {
		t.Errorf("the first start: %+v", first)
	}
	load(t, e, f).Release()
	second := e.Stats()
	second.MemoryHits--
	if fmt.Sprint(second) != fmt.Sprint(first) {
		t.Errorf("the second start did more than find the module:\n%+v\n%+v", first, second)
	}
	if n := compiled.Load(); n != 1 || waits != 0 {
		t.Errorf("%d compilations, %d starts waited", n, waits)
	}
}

// A start that finds the module loaded says nothing of a compiler, however often.
func TestStartOfALoadedModuleWaitsForNothing(t *testing.T) {
	var waits atomic.Int32
	cfg := testConfig(t)
	cfg.OnWait = func(Wait) { waits.Add(1) }
	e, _ := newEngine(t, cfg)
	f := open(t, file(t, "app.wasm", tiny(t)))
	for range 50 {
		m, err := e.Load(t.Context(), f, Use{Sealed: true})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Release()
	}
	if n := waits.Load(); n != 1 {
		t.Errorf("%d starts waited, want the first", n)
	}
}

// A start that comes before the compiler is done waits for the same compilation,
// and each says so.
func TestStartsJoinTheUnpacking(t *testing.T) {
	const starts = 20
	var mu sync.Mutex
	waits := map[string]bool{}
	cfg := testConfig(t)
	cfg.Store, cfg.MaxParallel = newMemStore(), 1
	cfg.OnWait = func(w Wait) {
		mu.Lock()
		defer mu.Unlock()
		waits[w.Container] = true
	}
	e, compiled := newEngine(t, cfg)
	proceed := make(chan struct{})
	compile := e.compile
	e.compile = func(ctx context.Context, img *image, o order) error {
		<-proceed
		return compile(ctx, img, o)
	}
	f := open(t, file(t, "app.wasm", tiny(t)))
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := e.Precompile(t.Context(), f); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the compiler runs", func() bool { return e.Stats().Compiling == 1 })
	for i := range starts {
		wg.Go(func() {
			m, err := e.Load(t.Context(), f, Use{Container: fmt.Sprint(i), Sealed: true})
			if err != nil {
				t.Error(err)
				return
			}
			m.Release()
		})
	}
	eventually(t, "all starts wait", func() bool { return e.Stats().Waiting == starts })
	close(proceed)
	wg.Wait()
	if n := compiled.Load(); n != 1 || len(waits) != starts || e.Stats().Waiting != 0 {
		t.Errorf("%d compilations, %d starts said that they wait", n, len(waits))
	}
}

// Whatever a background compiler takes, others may have.
func TestOptimizingGivesWay(t *testing.T) {
	done := make(chan error)
	go func() {
		done <- runOne(t, tiny(t), newRules([]Option{WithImport("test", "hang")}), func(j *job) { j.Idle = true })
	}()
	var pid int
	eventually(t, "the child runs", func() bool {
		all := compileChildren(t, os.Getpid())
		if len(all) != 1 {
			return false
		}
		_, err := fmt.Sscan(all[0], &pid)
		status, _ := os.ReadFile("/proc/" + all[0] + "/oom_score_adj")
		return err == nil && string(status) == "1000\n"
	})
	if attr, err := unix.SchedGetAttr(pid, 0); err != nil || attr.Policy != unix.SCHED_IDLE || attr.Nice != 19 {
		t.Errorf("scheduling: %+v, %v", attr, err)
	}
	const process, idle = 1, 3
	if class, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, process, uintptr(pid), 0); errno != 0 || class>>13 != idle {
		t.Errorf("I/O class %d, %v", class>>13, errno)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("a killed compiler has compiled")
	}
}

func TestParseTier(t *testing.T) {
	for text, want := range map[string]Tier{"": 0, "0": 0, "off": 0, "1": 1, "2": 2, "3": 3} {
		if got, err := ParseTier(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"4", "-1", "fast", "O2", "22"} {
		if got, err := ParseTier(text); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// When the image is gone, nobody needs what the compiler is busy with.
func TestOptimizingEndsWithTheImage(t *testing.T) {
	store := newMemStore()
	e, _ := newEngine(t, tieredConfig(t, store))
	compile := e.compile
	e.compile = func(ctx context.Context, img *image, o order) error {
		if o.Tier != Tier0 {
			<-ctx.Done()
		}
		return compile(ctx, img, o)
	}
	f := open(t, file(t, "app.wasm", tiny(t)))
	m := load(t, e, f)
	defer m.Release()
	eventually(t, "the compiler runs", func() bool { return e.Stats().Optimizing == 1 })
	if err := store.Remove(t.Context(), m.shared.rec.Key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it ends", func() bool { return e.Stats().Optimizing == 0 })
	if n, _ := store.Size(); n != 0 {
		t.Errorf("%d artefacts are left", n)
	}
}
