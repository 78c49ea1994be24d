// SPDX-License-Identifier: Apache-2.0

package modules

var localGroups = Module{
	Name: "locals-groups",
	Header: `Has a function whose locals are in two million groups of none.

exit: 0
`,
	Build: func() []byte {
		return command(join(vector(2_000_000, []byte{0, i32}), []byte{opEnd}))
	},
}
