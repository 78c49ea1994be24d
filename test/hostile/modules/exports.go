// SPDX-License-Identifier: Apache-2.0

package modules

import "strconv"

var manyExports = Module{
	Name: "exports",
	Header: `Exports its function by two hundred thousand names.

exit: 0
`,
	Build: func() []byte {
		names := [][]byte{exported("_start", 0)}
		for i := range 200_000 {
			names = append(names, exported(strconv.Itoa(i), 0))
		}
		return module(
			section(types, list(noParams)),
			section(funcs, list([]byte{0})),
			section(exports, list(names...)),
			section(code, list(emptyBody)),
		)
	},
}
