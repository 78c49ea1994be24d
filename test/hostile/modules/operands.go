// SPDX-License-Identifier: Apache-2.0

package modules

import "bytes"

var operands = Module{
	Name: "operands",
	Header: `Has two million numbers on its stack at a time.

exit: 0
`,
	Build: func() []byte {
		const n = 2_000_000
		return command(join([]byte{0}, bytes.Repeat(constant(1), n), bytes.Repeat([]byte{opDrop}, n), []byte{opEnd}))
	},
}
