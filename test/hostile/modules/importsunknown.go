// SPDX-License-Identifier: Apache-2.0

package modules

import "strings"

var importsUnknown = Module{
	Name: "imports-unknown",
	Header: `Imports a function whose name has 50 MB: the error must not have them all.

create: which the host does not provide
`,
	Build: func() []byte {
		return command([]byte{0, opEnd}, section(imports, list(imported("env", strings.Repeat("x", 50_000_000), 0))))
	},
}
