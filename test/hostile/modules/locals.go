// SPDX-License-Identifier: Apache-2.0

package modules

var locals = Module{
	Name: "locals",
	Header: `Has a function with four billion locals, in eleven bytes.

create: locals
`,
	Build: func() []byte {
		return command(join(list(join(leb(0xffffffff), []byte{i32})), []byte{opEnd}))
	},
}
