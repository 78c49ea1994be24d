// SPDX-License-Identifier: Apache-2.0

package modules

var dataOverlapping = Module{
	Name: "data-large",
	Header: `Has 64 MiB of data, for a memory that may have 16.

start: memory
memory: 16MiB
`,
	Build: func() []byte {
		const size = 64 << 20
		segment := join([]byte{0}, constant(0), []byte{opEnd}, sized(make([]byte, size)))
		return command([]byte{0, opEnd}, section(memories, list(join([]byte{0}, leb(size>>16)))), section(data, list(segment)))
	},
}
