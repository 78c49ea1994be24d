// SPDX-License-Identifier: Apache-2.0

package modules

var brTableCount = Module{
	Name: "br-table-count",
	Header: `Has a branch table of four billion targets, of which there are three.

create: is not a valid WebAssembly module
`,
	Build: func() []byte {
		return command(join([]byte{0, opBlock, blockEmpty}, constant(5), []byte{opBrTable}, leb(0xffffffff), []byte{0, 0, 0, opEnd, opEnd}))
	},
}
