// SPDX-License-Identifier: Apache-2.0

package modules

var brTable = Module{
	Name: "br-table",
	Header: `Has a branch table of a million targets.

exit: 0
`,
	Build: func() []byte {
		return command(join([]byte{0, opBlock, blockEmpty}, constant(5), []byte{opBrTable}, vector(1_000_000, []byte{0}), []byte{0, opEnd, opEnd}))
	},
}
