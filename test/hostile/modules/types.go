// SPDX-License-Identifier: Apache-2.0

package modules

var manyTypes = Module{
	Name: "types",
	Header: `Has two hundred thousand types, all the same.

create: has 200000 types, more than 100000
`,
	Build: func() []byte {
		const n = 200_000
		return module(
			section(types, vector(n, noParams)),
			section(funcs, list(leb(n-1))),
			section(exports, list(exported("_start", 0))),
			section(code, list(emptyBody)),
		)
	},
}
