// SPDX-License-Identifier: Apache-2.0

package modules

import "bytes"

var manyParams = Module{
	Name: "params",
	Header: `Has a function with ten thousand parameters, and calls it.

exit: 0
`,
	Build: func() []byte {
		const n = 10_000
		body := join(leb(0), bytes.Repeat(constant(1), n), call(1), []byte{opEnd})
		return module(
			section(types, list(noParams, join([]byte{funcType}, vector(n, []byte{i32}), list()))),
			section(funcs, list(leb(0), leb(1))),
			section(exports, list(exported("_start", 0))),
			section(code, list(sized(body), emptyBody)),
		)
	},
}
