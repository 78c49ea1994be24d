// SPDX-License-Identifier: Apache-2.0

package modules

var startOutOfRange = Module{
	Name: "start-range",
	Header: `Has a start function that there is not.

create: is not a valid WebAssembly module
`,
	Build: func() []byte {
		return command([]byte{0, opEnd}, section(start, leb(0xffffffff)))
	},
}
