// SPDX-License-Identifier: Apache-2.0

package modules

var namesImport = Module{
	Name: "names-import",
	Header: `Imports a function by a name that is not UTF-8, and would move a terminal's cursor.

create: is not a valid WebAssembly module
`,
	Build: func() []byte {
		return command([]byte{0, opEnd}, section(imports, list(imported("env", "\x1b[2J\xff", 0))))
	},
}
