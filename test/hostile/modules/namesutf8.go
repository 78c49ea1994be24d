// SPDX-License-Identifier: Apache-2.0

package modules

var namesNotUTF8 = Module{
	Name: "names-export",
	Header: `Exports a function by a name that is not UTF-8.

create: is not a valid WebAssembly module
`,
	Build: func() []byte {
		return module(
			section(types, list(noParams)),
			section(funcs, list([]byte{0})),
			section(exports, list(exported("_start", 0), exported("\xc3\x28\xff", 0))),
			section(code, list(emptyBody)),
		)
	},
}
