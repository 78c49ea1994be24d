// SPDX-License-Identifier: Apache-2.0

package modules

var manyGlobals = Module{
	Name: "globals",
	Header: `Has a million globals.

create: has 1000000 globals, more than 100000
`,
	Build: func() []byte {
		return command([]byte{0, opEnd}, section(globals, vector(1_000_000, join([]byte{i32, 1}, constant(1), []byte{opEnd}))))
	},
}
