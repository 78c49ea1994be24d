// SPDX-License-Identifier: Apache-2.0

package modules

var manyElements = Module{
	Name: "elements",
	Header: `Has ten million entries for a table, which take a hundred times their size in the
host.

create: has a table of 10000000 entries
`,
	Build: func() []byte {
		const n = 10_000_000
		return command([]byte{0, opEnd},
			section(tables, list(join([]byte{funcref, 0}, leb(n)))),
			section(elements, list(join([]byte{0}, constant(0), []byte{opEnd}, vector(n, []byte{0})))))
	},
}
