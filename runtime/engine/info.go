// SPDX-License-Identifier: Apache-2.0

package engine

import "github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"

// Info tells how much a loaded module has of everything that takes memory.
type Info struct {
	binary.Counts

	// Size is the length in bytes of the module and its native code together,
	// as they are stored.
	Size uint64
}

// Bytes of heap that WasmEdge 0.14.1 takes for one of each: measured, and
// rounded up to what growing vectors and freed copies leave unused. Those of an
// instance include an executor and the WASI module.
var (
	instanceCost = cost{base: 72 << 10, typ: 192, value: 32, imported: 16, function: 192, table: 128, entry: 16,
		global: 112, export: 96, segment: 128, element: 32}
	moduleCost = cost{base: 16 << 10, typ: 288, value: 32, imported: 256, function: 208,
		global: 144, export: 224, segment: 192, element: 128}
)

type cost struct {
	base, typ, value, imported, function, table, entry, global, export, segment, element uint64
}

func (c cost) of(i Info) uint64 {
	return c.base +
		c.typ*i.Types + c.value*i.TypeValues +
		c.imported*i.Imports + c.function*i.Functions +
		c.table*i.Tables + c.entry*i.TableMax +
		c.global*i.Globals + c.export*i.Exports + i.ExportNames +
		c.segment*(i.ElementSegments+i.DataSegments) + c.element*i.Elements + i.DataBytes
}

// InstanceBytes estimates the memory that the engine takes for one instance of
// the module, beside linear memory and the thread's stack: bytes, from above.
// Its tables count at their largest. While a table grows or an instance is made,
// copies take up to as much again for a moment.
func (i Info) InstanceBytes() uint64 { return instanceCost.of(i) }

// ModuleBytes estimates the memory that the loaded module takes, once for all
// its instances: bytes, from above. WasmEdge keeps the native code three times,
// as a section, decoded, and mapped; the rest is what loading leaves behind.
func (i Info) ModuleBytes() uint64 {
	return moduleCost.of(i) + 3*i.CompiledBytes + i.Size - min(i.Size, i.CodeBytes+i.DataBytes)
}
