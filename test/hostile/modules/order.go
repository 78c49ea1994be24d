// SPDX-License-Identifier: Apache-2.0

package modules

var sectionsOutOfOrder = Module{
	Name: "sections-order",
	Header: `Has its sections in the wrong order, and twice.

create: is not a valid WebAssembly module
`,
	Build: func() []byte {
		return module(
			section(code, list(emptyBody)),
			section(exports, list(exported("_start", 0))),
			section(types, list(noParams)),
			section(funcs, list([]byte{0})),
			section(types, list(noParams)),
			section(code, list(emptyBody)),
		)
	},
}
