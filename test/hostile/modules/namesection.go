// SPDX-License-Identifier: Apache-2.0

package modules

import "bytes"

var nameSection = Module{
	Name: "names-section",
	Header: `Has a section of function names that is nothing but noise.

exit: 0
`,
	Build: func() []byte {
		return command([]byte{0, opEnd}, section(custom, sized([]byte("name")), bytes.Repeat([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f}, 1000)))
	},
}
