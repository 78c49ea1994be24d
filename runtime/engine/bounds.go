// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// bounds are how much of everything a module may have. They are checked before
// WasmEdge sees the module: in the compiler child, and again in this process on
// each load.
type bounds struct {
	Functions    uint64 // imported ones too
	TableEntries uint64 // of all tables at their largest, and of all element segments
	Segments     uint64 // of elements and of data
}

// What else a module may have is not configured: real programs stay far below.
// An export takes 160 bytes and its name, a type 450 and a global 210, in the
// loaded module and an instance together.
const (
	maxTypes   = 100_000
	maxGlobals = 100_000
	maxExports = 500_000
)

func (c *Config) bounds() bounds {
	return bounds{uint64(c.MaxFunctions), uint64(c.MaxTableEntries), uint64(c.MaxSegments)}
}

// check returns an error, a phrase without a subject, that names what a module
// has too much of, the bound and the key that sets it.
func (b bounds) check(c binary.Counts) error {
	for _, limit := range []struct {
		n, max    uint64
		what, key string
	}{
		{c.Imports + c.Functions, b.Functions, "functions", "max_functions"},
		{c.TableMax + c.Elements, b.TableEntries, "entries in tables and element segments", "max_table_entries"},
		{c.ElementSegments + c.DataSegments, b.Segments, "segments", "max_segments"},
		{c.Types, maxTypes, "types", ""},
		{c.Globals, maxGlobals, "globals", ""},
		{c.Exports, maxExports, "exports", ""},
	} {
		switch {
		case limit.n <= limit.max:
		case limit.key == "":
			return fmt.Errorf("has %d %s, more than %d", limit.n, limit.what, limit.max)
		default:
			return fmt.Errorf("has %d %s, more than %s (%d): raise it in the engine's configuration to accept the module",
				limit.n, limit.what, limit.key, limit.max)
		}
	}
	return nil
}
