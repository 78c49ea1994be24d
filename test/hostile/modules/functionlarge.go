// SPDX-License-Identifier: Apache-2.0

package modules

import "bytes"

var functionLarge = Module{
	Name: "function-large",
	Header: `Has a function of eight million bytes.

create: more than
`,
	Build: func() []byte {
		return command(join([]byte{0}, bytes.Repeat(join(constant(1), []byte{opDrop}), 3_000_000), []byte{opEnd}))
	},
}
