// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/second-state/WasmEdge-go/wasmedge"
	"golang.org/x/sys/unix"
)

// TestMemoryEstimates: what a module and its instances take is at most what is
// estimated, and not much less. Each module is measured in a process of its own,
// whose heap has no holes to fill.
func TestMemoryEstimates(t *testing.T) {
	cfg := testConfig(t)
	many := func(n int, text string) string { return strings.Repeat(text+"\n", n) }
	exports := ""
	for i := range 20_000 {
		exports += fmt.Sprintf(`(export "a rather long name %d" (func 0))`, i)
	}
	for name, text := range map[string]string{
		"functions":        many(10_000, `(func (local i32 i64) nop)`),
		"types":            many(20_000, `(type (func (param i32 f64) (result i32)))`),
		"imports":          many(10_000, `(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))`),
		"globals":          many(20_000, `(global i32 (i32.const 1))`),
		"exports":          exports,
		"tables":           many(4, `(table 500000 500000 funcref)`),
		"elements":         `(func $f) (elem funcref ` + many(200_000, `(ref.func $f)`) + `)`,
		"element segments": `(func $f) (table 1 1 funcref)` + many(20_000, `(elem (i32.const 0) $f)`),
		"data segments":    `(memory 1)` + many(20_000, `(data (i32.const 0) "x")`),
		"data":             `(memory 1) (data "` + strings.Repeat("0123456789", 400_000) + `")`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "module")
			if err := os.WriteFile(path, wat(t, command(text)), 0o600); err != nil {
				t.Fatal(err)
			}
			measure(t, cfg, path)
		})
	}
	t.Run("C", func(t *testing.T) { measure(t, cfg, cHello(t)) })
	t.Run("Go", func(t *testing.T) { measure(t, cfg, goHello(t)) })
}

const (
	measureRoot   = "ENGINE_TEST_MEASURE_ROOT"
	measureModule = "ENGINE_TEST_MEASURE_MODULE"
)

type measured struct{ Module, Instance int64 }

func measure(t *testing.T, cfg Config, path string) {
	e, _ := newEngine(t, cfg)
	m, err := e.Load(t.Context(), open(t, path), Use{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestHelperMeasure$", "-test.root")
	cmd.Env = append(os.Environ(), measureRoot+"="+cfg.Root, measureModule+"="+path)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got measured
	line, _, _ := strings.Cut(string(out), "\n")
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatal(err)
	}
	info := m.Info()
	info.TableMax = info.TableMin // no table has grown
	compare := func(what string, measured, estimated, slack int64) {
		t.Logf("%s: %d KiB, estimated %d KiB", what, measured>>10, estimated>>10)
		if measured > estimated+slack || estimated > 2*measured+slack {
			t.Errorf("%s: %d bytes, estimated %d", what, measured, estimated)
		}
	}
	compare("module", got.Module, int64(info.ModuleBytes()), 2<<20) // and buffers of this process
	compare("instance", got.Instance, int64(info.InstanceBytes()), 1<<18)
}

// TestHelperMeasure is the process in which measure measures.
func TestHelperMeasure(t *testing.T) {
	root, path := os.Getenv(measureRoot), os.Getenv(measureModule)
	if root == "" {
		return // not started by a test
	}
	// What is measured is not to be rounded up to 2 MiB.
	if err := unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t)
	cfg.Root = root
	e, compiled := newEngine(t, cfg)
	tinyModule, err := e.LoadBytes(t.Context(), "tiny", tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	instantiate(t, tinyModule.AST()) // whatever is made once
	f := open(t, path)
	before := resident(t)
	m, err := e.Load(t.Context(), f, Use{})
	if err != nil {
		t.Fatal(err)
	}
	loaded := resident(t)
	const instances = 4
	for range instances {
		instantiate(t, m.AST())
	}
	b, err := json.Marshal(measured{loaded - before, (resident(t) - loaded) / instances})
	if err != nil || compiled.Load() > 1 {
		t.Fatal(err)
	}
	os.Stdout.Write(append(b, '\n'))
}

// resident returns the private memory of this process that is in use, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// instantiate makes an instance as a guest's thread does, without running it.
func instantiate(t *testing.T, ast *wasmedge.AST) {
	t.Helper()
	h, err := newHost()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.executor.Instantiate(h.store, ast); err != nil {
		t.Fatal(err)
	}
}
