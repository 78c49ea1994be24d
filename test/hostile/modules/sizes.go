// SPDX-License-Identifier: Apache-2.0

package modules

var sectionSize = Module{
	Name: "section-size",
	Header: `Has a section of four billion bytes, of which there are ten.

create: truncated
`,
	Build: func() []byte {
		return join(header, []byte{types}, leb(0xffffffff), make([]byte, 10))
	},
}
