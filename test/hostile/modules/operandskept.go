// SPDX-License-Identifier: Apache-2.0

package modules

import "bytes"

// operandsKept has its numbers from memory, which the call could change: no compiler can
// read them later instead.
var operandsKept = Module{
	Name: "operands-kept",
	Header: `Calls itself without end, each time with five thousand numbers on its stack that it uses
afterwards.

exit: 134
stderr: call stack exhausted
`,
	Build: func() []byte {
		const n, pages = 5_000, 1
		body := join([]byte{0}, constant(0)) // where the sum goes
		for i := range n {
			body = append(body, join(constant(0), []byte{opI64Load, 3}, leb(8*i))...)
		}
		// Which it always does, as nothing in its memory is another number than 0.
		body = join(body, constant(0), []byte{opI32Load, 2, 0, opI32Eqz, opIf, blockEmpty}, call(0), []byte{opEnd})
		body = join(body, bytes.Repeat([]byte{opI64Add}, n-1), []byte{opI64Store, 3, 0, opEnd})
		return command(body, section(memories, list([]byte{0, pages})))
	},
}
