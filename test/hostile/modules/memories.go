// SPDX-License-Identifier: Apache-2.0

package modules

var twoMemories = Module{
	Name: "memories",
	Header: `Has two memories of 4 GiB each.

create: multiple memories
`,
	Build: func() []byte {
		return command([]byte{0, opEnd}, section(memories, vector(2, join([]byte{0}, leb(65536)))))
	},
}
