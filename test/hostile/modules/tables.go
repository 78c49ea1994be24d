// SPDX-License-Identifier: Apache-2.0

package modules

var manyTables = Module{
	Name: "tables",
	Header: `Has ten thousand tables of ten million entries.

create: tables
`,
	Build: func() []byte {
		return command([]byte{0, opEnd}, section(tables, vector(10_000, join([]byte{funcref, 0}, leb(10_000_000)))))
	},
}
