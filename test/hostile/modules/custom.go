// SPDX-License-Identifier: Apache-2.0

package modules

var customLarge = Module{
	Name: "custom-large",
	Header: `Has a custom section of 100 MB.

exit: 0
alone: 100 MB
`,
	Build: func() []byte {
		return command([]byte{0, opEnd}, section(custom, sized([]byte("debug")), make([]byte, 100_000_000)))
	},
}
