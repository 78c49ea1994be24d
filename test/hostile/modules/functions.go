// SPDX-License-Identifier: Apache-2.0

package modules

var functions = Module{
	Name: "functions",
	Header: `Has two million functions: more than there is memory for compiling them.

create: module-functions.wasm
alone: the compiler takes long to give up
`,
	Build: func() []byte {
		const n = 2_000_000
		return module(
			section(types, list(noParams)),
			section(funcs, vector(n, []byte{0})),
			section(exports, list(exported("_start", 0))),
			section(code, vector(n, emptyBody)),
		)
	},
}
