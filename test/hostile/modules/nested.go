// SPDX-License-Identifier: Apache-2.0

package modules

import "bytes"

var nested = Module{
	Name: "nested",
	Header: `Has blocks in blocks, a hundred thousand deep.

exit: 0
`,
	Build: func() []byte {
		const n = 100_000
		return command(join([]byte{0}, bytes.Repeat([]byte{opBlock, blockEmpty}, n), bytes.Repeat([]byte{opEnd}, n+1)))
	},
}
