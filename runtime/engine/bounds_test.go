// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// A module beyond a bound is refused by the child, and by an engine whose bound
// is lower than that of the one that compiled it: with the same words, and
// without compiling it again.
func TestBoundsNameTheKey(t *testing.T) {
	text := command(`(import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (memory 1)
		(table 5 7 funcref) (func $f) (elem func $f $f) (data (i32.const 0) "x")`)
	for key, c := range map[string]struct {
		bound func(*Config) *int
		n     int
		what  string
	}{
		"max_functions":     {func(c *Config) *int { return &c.MaxFunctions }, 3, "functions"},
		"max_table_entries": {func(c *Config) *int { return &c.MaxTableEntries }, 9, "entries in tables and element segments"},
		"max_segments":      {func(c *Config) *int { return &c.MaxSegments }, 2, "segments"},
	} {
		t.Run(key, func(t *testing.T) {
			cfg := testConfig(t)
			module := wat(t, text)
			want := fmt.Sprintf(`module "app.wasm" has %d %s, more than %s (%d): raise it in the engine's configuration to accept the module: resource exhausted`, c.n, c.what, key, c.n-1)
			load := func(bound int) (int32, error) {
				*c.bound(&cfg) = bound
				e, compiled := newEngine(t, cfg)
				m, err := e.LoadBytes(t.Context(), "app.wasm", module)
				if err == nil {
					m.Release()
				}
				e.Close()
				return compiled.Load(), err
			}
			if _, err := load(c.n - 1); !errdefs.IsResourceExhausted(err) || err.Error() != want {
				t.Errorf("compiling: %v, want %s", err, want)
			}
			if n, err := load(c.n); n != 1 || err != nil {
				t.Errorf("within the bound: %d compilations, %v", n, err)
			}
			if n, err := load(c.n - 1); n != 0 || !errdefs.IsResourceExhausted(err) || err.Error() != want {
				t.Errorf("loading: %d compilations, %v, want %s", n, err, want)
			}
		})
	}
}

// What has no key: the bound is in the text.
func TestFixedBounds(t *testing.T) {
	e, _ := newEngine(t, testConfig(t))
	var exports strings.Builder
	for i := range maxExports {
		fmt.Fprintf(&exports, "(export \"%d\" (func 0))\n", i)
	}
	for want, text := range map[string]string{
		"has 100001 types, more than 100000":     strings.Repeat("(type (func))\n", maxTypes),
		"has 100001 globals, more than 100000":   strings.Repeat("(global i32 (i32.const 0))\n", maxGlobals+1),
		"has 500001 exports, more than 500000":   exports.String(),
		"has a table of 1000001 entries, more t": "(table 1000001 funcref)",
	} {
		_, err := e.LoadBytes(t.Context(), "app.wasm", wat(t, command(text+`(type (func (param i32)))`)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
