// SPDX-License-Identifier: Apache-2.0

package modules

var namesTerminal = Module{
	Name: "names-terminal",
	Header: `Imports a function by a name of control characters: the error shows none.

create: "\x1b[2J\r\nlevel=fatal"
`,
	Build: func() []byte {
		return command([]byte{0, opEnd}, section(imports, list(imported("env", "\x1b[2J\r\nlevel=fatal", 0))))
	},
}
