// SPDX-License-Identifier: Apache-2.0

// Package engine turns WebAssembly files, as hostile as the images that they
// come from, into natively compiled modules that many guests share.
//
// A module is identified by the sha256 of its bytes. It is validated and
// compiled once, in a child process with few rights (see child.go); the result
// is kept in a Store; and it is loaded once into this process (module.go), for as
// long as somebody holds it. Later it is compiled again, optimized, when the
// machine has nothing else to do (optimize.go). Native code that an image brings
// along is cut off before anything else looks at the file.
//
// The process is Linux, has /proc mounted and is root: a compiler child gives
// its rights away itself.
package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/second-state/WasmEdge-go/wasmedge"
)

// Config says where compiled code is kept and what compiling may cost. All
// fields but Store, Optimize, OnWait, Budget, IdleTime and MaxParallel are required.
type Config struct {
	// Root is the directory for the code of the engine's own modules, made with
	// mode 0700. No two engines share one.
	Root string
	// Store keeps the code of all others. nil: Root does.
	Store Store
	// Optimize is what modules are optimized to in the background; Tier0: they
	// are not.
	Optimize Tier
	// OnWait is told of starts that wait. It must not block.
	OnWait func(Wait)
	// Budget is what loaded modules count against; nil: nothing.
	Budget Budget
	// CompileTimeout is the wall-clock time that one module may take.
	CompileTimeout time.Duration
	// CompileMemory is how many bytes of private memory the compiler may take
	// for one module, on top of what its process starts with.
	CompileMemory int64
	// MaxModuleSize is the size in bytes of the largest file accepted, at most
	// 1 GiB.
	MaxModuleSize int64
	// MaxFunctions, MaxTableEntries and MaxSegments are how many functions,
	// entries of tables and of element segments, and segments of elements and
	// data a module may have.
	MaxFunctions    int
	MaxTableEntries int
	MaxSegments     int
	// IdleTime is how long a module that nobody holds stays loaded; 0 unloads
	// it at once.
	IdleTime time.Duration
	// MaxParallel is how many modules are compiled at once for starts that wait;
	// 0 means half of the CPUs, at least 1.
	MaxParallel int
}

// maxModuleSize keeps every length that WasmEdge's C API takes as a uint32, of
// a module or of what it compiles to, within range.
const maxModuleSize = 1 << 30

// Validate returns ErrInvalidArgument, naming the configuration key.
func (c Config) Validate() error {
	invalid := func(key, want string, got any) error {
		return fmt.Errorf("engine configuration: %s must be %s, not %v: %w", key, want, got, errdefs.ErrInvalidArgument)
	}
	switch {
	case !filepath.IsAbs(c.Root):
		return invalid("root", "an absolute path", fmt.Sprintf("%q", c.Root))
	case c.CompileTimeout <= 0:
		return invalid("compile_timeout", "positive", c.CompileTimeout)
	case c.CompileMemory <= 0:
		return invalid("compile_memory", "positive", c.CompileMemory)
	case c.MaxModuleSize <= 0 || c.MaxModuleSize > maxModuleSize:
		return invalid("max_module_size", "between 1 and 1 GiB", c.MaxModuleSize)
	case c.MaxFunctions <= 0:
		return invalid("max_functions", "positive", c.MaxFunctions)
	case c.MaxTableEntries <= 0:
		return invalid("max_table_entries", "positive", c.MaxTableEntries)
	case c.MaxSegments <= 0:
		return invalid("max_segments", "positive", c.MaxSegments)
	case c.Optimize < Tier0 || c.Optimize > 3:
		return invalid("optimize", "between 0 and 3", int(c.Optimize))
	case c.IdleTime < 0:
		return invalid("idle_time", "0 or more", c.IdleTime)
	case c.MaxParallel < 0:
		return invalid("max_parallel", "0 (half of the CPUs) or more", c.MaxParallel)
	}
	return nil
}

// Engine loads modules. Its methods may be called concurrently.
type Engine struct {
	cfg      Config
	version  string // of WasmEdge: what compiled code depends on, part of its key
	cpu      string // likewise
	own      Store  // of modules that come with no image
	queue    *queue
	counters counters

	// compile is compileInChild, but for tests that count or replace it.
	compile func(context.Context, *image, order) error

	files   *bounded[FileID, digest.Digest] // digests of unchanged files
	refused *bounded[Key, error]            // recent refusals

	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	builds     sync.WaitGroup
	toOptimize chan request  // has room for all that are in optimizing
	naming     chan struct{} // has room for maxNaming

	maxModules int

	mu         sync.Mutex
	closed     bool
	modules    map[Key]*shared
	idle       uint64 // bytes of those that nobody holds, and of those being unloaded
	compiling  map[Key]*compilation
	optimizing map[Key]bool
}

const (
	// maxModules is how many may be loaded. Each has three mappings, of which the kernel
	// allows a process so many (package runtime leaves room for these).
	maxModules = 2048

	maxFiles   = 4096
	maxRefused = 1024

	// refusedFor is how long a refusal is remembered: longer than the longest
	// step of a restart loop's back-off, which is five minutes in Kubernetes. A
	// changed module is another one, and a changed configuration comes with a
	// restart.
	refusedFor = 10 * time.Minute
)

// New makes an engine, and removes from cfg.Root what an earlier process did not finish
// storing, and code of another build. A bad cfg is ErrInvalidArgument. It also turns
// WasmEdge's logging off for the whole process: it goes to fds 1 and 2, which
// in a jail are the guest's.
func New(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.MaxParallel == 0 {
		cfg.MaxParallel = max(1, runtime.NumCPU()/2)
	}
	wasmedge.SetLogOff()
	cpu, err := cpuModel()
	if err != nil {
		return nil, err
	}
	own, err := openDir(cfg.Root, buildOf(Version(), cpu))
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg:        cfg,
		version:    Version(),
		cpu:        cpu,
		own:        own,
		queue:      &queue{max: cfg.MaxParallel},
		files:      newBounded[FileID, digest.Digest](maxFiles, 0),
		refused:    newBounded[Key, error](maxRefused, refusedFor),
		toOptimize: make(chan request, maxOptimizing),
		naming:     make(chan struct{}, maxNaming),
		maxModules: maxModules,
		modules:    map[Key]*shared{},
		compiling:  map[Key]*compilation{},
		optimizing: map[Key]bool{},
	}
	if cfg.Store == nil {
		e.cfg.Store = own
	}
	if cfg.Budget == nil {
		e.cfg.Budget = noBudget{}
	}
	e.compile = e.compileInChild
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.builds.Go(e.optimizeAll)
	return e, nil
}

// Use says for whom a module is loaded.
type Use struct {
	// Container is its id, in the context's namespace.
	Container string
	// Tenant is on whose behalf, within that namespace. Starts that wait for a
	// compiler take turns by it; "" is one as well.
	Tenant string
	// Sealed: the file is an image's, and nobody can change its bytes, so that it
	// is read once, however often it gets a new name.
	Sealed bool
}

// Load loads the module in f, an open regular file; f stays the caller's, and
// may be closed once Load returns. The caller releases the module.
//
// Errors name the file's base name. ErrInvalidArgument: not a module that this
// host can run. ErrResourceExhausted: it ran into a configured limit, or the budget
// has no room, of which the text names the key. ErrInternal: the compiler failed on it. ErrUnavailable: the
// engine is closed, could not start its compiler or store what it made, or the
// file keeps changing. If ctx ends first, its error; the work then goes on for the
// next caller.
func (e *Engine) Load(ctx context.Context, f *os.File, use Use) (*Module, error) {
	m, err := e.loadFile(ctx, f, use)
	if err != nil {
		return nil, fmt.Errorf("module %q %w", filepath.Base(f.Name()), err)
	}
	return m, nil
}

// LoadBytes is Load for a module that is in memory already, and in no image. name
// is for errors. b must never change.
func (e *Engine) LoadBytes(ctx context.Context, name string, b []byte, opts ...Option) (*Module, error) {
	q := request{digest: digest.FromBytes(b), rules: newRules(opts), store: e.own, name: name}
	m, err := e.load(ctx, q, func() (source, error) {
		return bytesSource{b, e.cfg.MaxModuleSize}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("module %q %w", name, err)
	}
	return m, nil
}

// Close stops compilers and waits for them. Modules that are held stay valid
// until they are released. Later loads are ErrUnavailable.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.cancel()
	e.builds.Wait()
	e.unloadAllIdle()
	return nil
}
