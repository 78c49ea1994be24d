// SPDX-License-Identifier: Apache-2.0

package modules

var manyImports = Module{
	Name: "imports",
	Header: `Imports the same function a million times: more than there is memory for compiling it.

create: module-imports.wasm
alone: the compiler takes long to give up
`,
	Build: func() []byte {
		const n = 1_000_000
		return module(
			section(types, list(noParams, []byte{funcType, 0, 1, i32})),
			section(imports, vector(n, imported("wasi_snapshot_preview1", "sched_yield", 1))),
			section(funcs, list([]byte{0})),
			section(exports, list(exported("_start", n))),
			section(code, list(emptyBody)),
		)
	},
}
