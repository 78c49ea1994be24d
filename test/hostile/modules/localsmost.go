// SPDX-License-Identifier: Apache-2.0

package modules

var localsMost = Module{
	Name: "locals-most",
	Header: `Has a function with as many locals as are allowed, and calls it without end.

exit: 134
stderr: call stack exhausted
`,
	Build: func() []byte {
		return command(join(list(join(leb(50_000), []byte{i64})), call(0), call(0), []byte{opEnd}))
	},
}
