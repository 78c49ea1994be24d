// SPDX-License-Identifier: Apache-2.0

package modules

var dataSegments = Module{
	Name: "data",
	Header: `Has a million data segments.

create: more than max_segments
`,
	Build: func() []byte {
		segment := join([]byte{0}, constant(0), []byte{opEnd}, sized([]byte("x")))
		return command([]byte{0, opEnd}, section(memories, list([]byte{0, 1})), section(data, vector(1_000_000, segment)))
	},
}
