// SPDX-License-Identifier: Apache-2.0

package modules

var tooLarge = Module{
	Name: "too-large",
	Header: `Is larger than the daemon accepts.

create: max_module_size
alone: 100 MB
`,
	Build: func() []byte {
		return command([]byte{0, opEnd}, section(custom, sized([]byte("debug")), make([]byte, 100<<20)))
	},
}
