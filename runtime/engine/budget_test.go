// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/test/kernel"
)

var unloads atomic.Pointer[Engine]

var giveBack = sync.OnceFunc(func() {
	jail.Budget{}.GiveBack(func() { unloads.Load().UnloadOldest() })
})

// newBudgeted makes an engine with the budget of guests, whose modules stay loaded.
func newBudgeted(t *testing.T, cfg Config) (*Engine, *atomic.Int32) {
	t.Helper()
	cfg.Budget, cfg.IdleTime = jail.Budget{}, time.Hour
	before := jail.MemoryUsed()
	t.Cleanup(func() {
		jail.SetLimits(jail.Limits{Memory: math.MaxUint64, Threads: math.MaxInt})
		eventually(t, "nothing stays charged", func() bool { return jail.MemoryUsed() == before })
	})
	e, compiled := newEngine(t, cfg)
	unloads.Store(e)
	giveBack()
	return e, compiled
}

// limit leaves room for so many bytes.
func limit(room uint64) {
	jail.SetLimits(jail.Limits{Memory: jail.MemoryUsed() + room, Threads: math.MaxInt})
}

// padded is a module that takes some megabytes once it is loaded, another one for each n.
func padded(t *testing.T, n int) []byte {
	return wat(t, fmt.Sprintf(`(module (memory 64) (func (export "_start")) (data (i32.const %d) "%s"))`, n, strings.Repeat("x", 1<<20)))
}

func TestModulesCountAgainstTheBudget(t *testing.T) {
	e, compiled := newBudgeted(t, testConfig(t))
	before := jail.MemoryUsed()
	first, second := padded(t, 1), padded(t, 2)
	a, err := e.LoadBytes(t.Context(), "first.wasm", first)
	if err != nil {
		t.Fatal(err)
	}
	one := a.Info().ModuleBytes()
	if used := jail.MemoryUsed() - before; used != one || one < 1<<20 {
		t.Errorf("%d bytes are charged of %d", used, one)
	}
	limit(one)
	for range 2 {
		_, err = e.LoadBytes(t.Context(), "second.wasm", second)
		if !errdefs.IsResourceExhausted(err) || !strings.HasPrefix(err.Error(), `module "second.wasm" needs `) ||
			!strings.Contains(err.Error(), "MiB to be loaded, and guests and their modules take ") || !strings.Contains(err.Error(), ": raise max_memory in the runtime's configuration") {
			t.Errorf("a module beyond the budget: %v", err)
		}
		if used := jail.MemoryUsed() - before; used != one {
			t.Errorf("%d bytes are charged after a refusal, not %d", used, one)
		}
	}
	again, err := e.LoadBytes(t.Context(), "first.wasm", first)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
	a.Release()
	b, err := e.LoadBytes(t.Context(), "second.wasm", second)
	if err != nil {
		t.Fatalf("with the first one idle: %v", err)
	}
	b.Release()
	if s := e.Stats(); s.Modules != 1 || compiled.Load() != 2 {
		t.Errorf("%d modules are loaded, %d were compiled", s.Modules, compiled.Load())
	}
}

// A guest starts with the memory of modules that nobody holds.
func TestGuestsHaveTheMemoryOfIdleModules(t *testing.T) {
	cfg := testConfig(t)
	if err := prepareGuests(); err != nil {
		t.Fatal(err)
	}
	e, _ := newBudgeted(t, cfg)
	idle, err := e.LoadBytes(t.Context(), "idle", padded(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	idle.Release()
	m, err := e.LoadBytes(t.Context(), "app", tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	limit(1 << 20)
	spec := &jail.Spec{
		Module: m.AST(), Entry: "_start", Args: []string{"guest"}, Rootfs: t.TempDir(), NewNetNS: true,
		UID: nobody, GID: nobody, StackSize: 1 << 20, Overhead: 2 << 20,
	}
	for i := range spec.Stdio {
		spec.Stdio[i] = jail.File{Path: filepath.Join(t.TempDir(), "out"), Flags: os.O_RDWR | os.O_CREATE}
	}
	g, err := jail.New(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	<-g.Done()
	if s := e.Stats(); s.Modules != 1 {
		t.Errorf("%d modules are loaded", s.Modules)
	}
}

// Optimized code for which there is no room is not replaced by other code that would have
// to be compiled first.
func TestNoRoomForOptimizedCode(t *testing.T) {
	store := newMemStore()
	cfg := tieredConfig(t, store)
	e, compiled := newBudgeted(t, cfg)
	f := open(t, file(t, "app.wasm", tiny(t)))
	m := load(t, e, f)
	base, best := e.record(m.Digest(), rules{}, Tier0).Key, e.record(m.Digest(), rules{}, 2).Key
	m.Release()
	awaitOptimized(t, func() bool { return has(store, best) })
	if err := store.Remove(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	for e.Stats().Modules > 0 {
		e.UnloadOldest()
	}
	n := compiled.Load()
	limit(1 << 10)
	if _, err := e.Load(t.Context(), f, Use{}); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "max_memory") {
		t.Errorf("loaded without room: %v", err)
	}
	if compiled.Load() != n {
		t.Error("other code was compiled")
	}
	limit(1 << 30)
	if m := load(t, e, f); m.Tier() != 2 {
		t.Errorf("tier %v", m.Tier())
	} else {
		m.Release()
	}
}

// watched is a budget that remembers the most that was charged.
type watched struct {
	mu         sync.Mutex
	used, peak uint64
	spare      uint64
	limit      uint64
}

func (w *watched) Charge(bytes uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.used+bytes > w.limit {
		return fmt.Errorf("full: %w", errdefs.ErrResourceExhausted)
	}
	w.used += bytes
	w.peak = max(w.peak, w.used)
	return nil
}

func (w *watched) Repay(bytes uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used -= bytes
}

func (w *watched) SetSpare(bytes uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spare = bytes
}

// Modules that are loaded at the same time are charged before they are.
func TestLoadsWithinTheBudget(t *testing.T) {
	cfg := testConfig(t)
	w := &watched{limit: math.MaxUint64}
	cfg.Budget = w
	e, _ := newEngine(t, cfg)
	var modules [8][]byte
	for i := range modules {
		modules[i] = padded(t, i)
		m, err := e.LoadBytes(t.Context(), "app", modules[i])
		if err != nil {
			t.Fatal(err)
		}
		w.limit = 3 * m.Info().ModuleBytes()
		m.Release()
	}
	var held atomic.Int64
	var loads sync.WaitGroup
	for _, b := range modules {
		loads.Go(func() {
			for range 50 {
				m, err := e.LoadBytes(context.Background(), "app", b)
				if errdefs.IsResourceExhausted(err) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := held.Add(1); n > 3 {
					t.Errorf("%d modules are loaded", n)
				}
				held.Add(-1)
				m.Release()
			}
		})
	}
	loads.Wait()
	eventually(t, "all is repaid", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.used == 0 && w.spare == 0
	})
	if w.peak > w.limit {
		t.Error("more was charged than there is")
	}
}

// The kernel allows a process so many mappings, and each module has some.
func TestLoadedModulesAreBounded(t *testing.T) {
	const most, mapsPerModule = 20, 3
	cfg := testConfig(t)
	cfg.IdleTime = time.Hour
	e, _ := newEngine(t, cfg)
	e.maxModules = most
	load := func(n int) (*Module, error) {
		return e.LoadBytes(t.Context(), "app.wasm", manyInstructions(2*n))
	}
	before := kernel.Mappings(t)
	var held []*Module
	for n := range most {
		m, err := load(n + 1)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, m)
	}
	if n := kernel.Mappings(t) - before; n > most*mapsPerModule+10 { // malloc's, and Go's
		t.Errorf("%d modules have %d mappings", most, n)
	}
	for range 2 {
		if _, err := load(most + 1); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), `module "app.wasm" was not loaded: 20 other modules are in use`) {
			t.Errorf("one more: %v", err)
		}
	}
	again, err := load(1)
	if err != nil {
		t.Fatalf("one that is loaded: %v", err)
	}
	again.Release()
	held[2].Release() // the oldest that is idle
	held[1].Release()
	held[2], err = load(most + 1)
	if err != nil {
		t.Fatalf("with two idle ones: %v", err)
	}
	hits := e.Stats().MemoryHits
	if held[1], err = load(2); err != nil || e.Stats().MemoryHits != hits+1 {
		t.Errorf("the one that was idle for less time is not loaded any more: %v", err)
	}
	for _, m := range held {
		m.Release()
	}
}
