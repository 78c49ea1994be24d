// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

func TestConfigErrorsNameTheKey(t *testing.T) {
	good := Config{Root: "/r", CompileTimeout: 1, CompileMemory: 1, MaxModuleSize: 1, MaxFunctions: 1, MaxTableEntries: 1, MaxSegments: 1}
	for key, change := range map[string]func(*Config){
		"root":              func(c *Config) { c.Root = "relative" },
		"compile_timeout":   func(c *Config) { c.CompileTimeout = 0 },
		"compile_memory":    func(c *Config) { c.CompileMemory = -1 },
		"max_module_size":   func(c *Config) { c.MaxModuleSize = 2 << 30 },
		"max_functions":     func(c *Config) { c.MaxFunctions = 0 },
		"max_table_entries": func(c *Config) { c.MaxTableEntries = 0 },
		"max_segments":      func(c *Config) { c.MaxSegments = -1 },
		"max_parallel":      func(c *Config) { c.MaxParallel = -1 },
	} {
		c := good
		change(&c)
		if _, err := New(c); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), " "+key+" ") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	good.Root = t.TempDir()
	e, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.cfg.MaxParallel < 1 || e.queue.max != e.cfg.MaxParallel {
		t.Errorf("by default %d compilers run, of %d", e.queue.max, e.cfg.MaxParallel)
	}
}

// nativeMappings counts the anonymous executable mappings of this process: one
// per module with native code, none for one that would be interpreted.
func nativeMappings(t *testing.T) (n int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if f := strings.Fields(line); len(f) == 5 && f[1] == "r-xp" && f[4] == "0" {
			n++
		}
	}
	return n
}

func TestLoadIsNativeAndReleaseUnloads(t *testing.T) {
	e, compiled := newEngine(t, testConfig(t))
	before := nativeMappings(t)
	for i, path := range []string{cHello(t), goHello(t)} {
		f := open(t, path)
		a, err := e.Load(t.Context(), f, Use{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := e.Load(t.Context(), f, Use{})
		if err != nil {
			t.Fatal(err)
		}
		content, _ := os.ReadFile(path)
		if want := digest.FromBytes(content); a.Digest() != want || b.Digest() != want {
			t.Errorf("digests %v and %v, want %v", a.Digest(), b.Digest(), want)
		}
		if a.AST() != b.AST() {
			t.Error("the module is not shared")
		}
		a.Release()
		a.Release() // must not count twice
		if n := nativeMappings(t); n != before+1 {
			t.Errorf("%d native mappings while the module is held, want %d", n, before+1)
		}
		b.Release()
		// Its build, which has a hold on it too, may not be over.
		eventually(t, "the module is unloaded", func() bool { return nativeMappings(t) == before })
		if n := len(e.modules); n != 0 {
			t.Errorf("%d modules after the last release", n)
		}
		if n := compiled.Load(); n != int32(i+1) {
			t.Errorf("%d compilations, want %d", n, i+1)
		}
	}
}

func TestLoadConcurrently(t *testing.T) {
	e, compiled := newEngine(t, testConfig(t))
	path := cHello(t)
	var modules [32]*Module
	var wg sync.WaitGroup
	for i := range modules {
		f := open(t, path)
		wg.Go(func() {
			var err error
			if modules[i], err = e.Load(t.Context(), f, Use{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := compiled.Load(); n != 1 {
		t.Errorf("%d compilations, want 1", n)
	}
	for _, m := range modules {
		if m == nil || m.AST() != modules[0].AST() {
			t.Fatal("the module is not shared")
		}
	}
	for _, m := range modules {
		wg.Go(m.Release)
	}
	wg.Wait()
	if len(e.modules) != 0 {
		t.Error("the module was not unloaded")
	}
}

func TestCancelledWaiterDoesNotCancelTheBuild(t *testing.T) {
	e, compiled := newEngine(t, testConfig(t))
	entered, proceed := make(chan struct{}), make(chan struct{})
	compile := e.compile
	e.compile = func(ctx context.Context, img *image, o order) error {
		close(entered)
		<-proceed
		return compile(ctx, img, o)
	}
	path := file(t, "app.wasm", tiny(t))
	f := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := e.Load(ctx, f, Use{})
		first <- err
	}()
	<-entered
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled load: %v", err)
	}
	f.Close()
	second := make(chan error)
	go func() {
		m, err := e.Load(t.Context(), open(t, path), Use{})
		if err == nil {
			m.Release()
		}
		second <- err
	}()
	close(proceed)
	if err := <-second; err != nil {
		t.Error(err)
	}
	if n := compiled.Load(); n != 1 {
		t.Errorf("%d compilations, want 1", n)
	}
	if _, err := e.Load(ctx, open(t, path), Use{}); !errors.Is(err, context.Canceled) {
		t.Errorf("load with a cancelled context: %v", err)
	}
}

func TestSlowBuildDoesNotBlockOthers(t *testing.T) {
	e, _ := newEngine(t, testConfig(t))
	slow, fast := tiny(t), wat(t, `(module (func) (func (export "_start")))`)
	entered, proceed := make(chan struct{}), make(chan struct{})
	compile := e.compile
	e.compile = func(ctx context.Context, img *image, o order) error {
		if o.Module == digest.FromBytes(slow) {
			close(entered)
			<-proceed
		}
		return compile(ctx, img, o)
	}
	done := make(chan error)
	go func() {
		_, err := e.LoadBytes(t.Context(), "slow", slow)
		done <- err
	}()
	<-entered
	m, err := e.LoadBytes(t.Context(), "fast", fast)
	if err != nil {
		t.Fatal(err)
	}
	m.Release()
	close(proceed)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCloseEndsLoads(t *testing.T) {
	e, _ := newEngine(t, testConfig(t))
	held, err := e.LoadBytes(t.Context(), "held", tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	compile := e.compile
	e.compile = func(ctx context.Context, img *image, o order) error {
		close(entered)
		<-ctx.Done()
		return compile(ctx, img, o)
	}
	done := make(chan error)
	go func() {
		_, err := e.LoadBytes(t.Context(), "late", wat(t, `(module)`))
		done <- err
	}()
	<-entered
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errdefs.IsUnavailable(err) {
		t.Errorf("load during Close: %v", err)
	}
	if _, err := e.LoadBytes(t.Context(), "after", tiny(t)); !errdefs.IsUnavailable(err) {
		t.Errorf("load after Close: %v", err)
	}
	if len(held.AST().ListExports()) != 1 {
		t.Error("a held module is gone")
	}
	held.Release()
}

// TestIdleModuleStaysLoaded: a container that is started again soon must not
// wait for its module to be read and validated again.
func TestIdleModuleStaysLoaded(t *testing.T) {
	cfg := testConfig(t)
	cfg.IdleTime = 100 * time.Millisecond
	e, _ := newEngine(t, cfg)
	f := open(t, file(t, "app.wasm", tiny(t)))
	first, err := e.Load(t.Context(), f, Use{})
	if err != nil {
		t.Fatal(err)
	}
	ast := first.AST()
	first.Release()
	again, err := e.Load(t.Context(), f, Use{})
	if err != nil {
		t.Fatal(err)
	}
	if again.AST() != ast {
		t.Error("the module was loaded again within its idle time")
	}
	again.Release()
	for range 50 {
		time.Sleep(20 * time.Millisecond)
		e.mu.Lock()
		n := len(e.modules)
		e.mu.Unlock()
		if n == 0 {
			return
		}
	}
	t.Error("the module is still loaded after its idle time")
}
