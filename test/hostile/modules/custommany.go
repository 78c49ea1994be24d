// SPDX-License-Identifier: Apache-2.0

package modules

import "bytes"

var (
	customMany  = customs("custom-many", "Has a million custom sections.", "debug", "exit: 0")
	customNames = customs("custom-names", "Has a million custom sections, with names that are not UTF-8.",
		"\xff\xfe", "create: has a name that is not UTF-8")
)

func customs(name, about, title, keys string) Module {
	return Module{
		Name:   name,
		Header: about + "\n\n" + keys,
		Build: func() []byte {
			one := section(custom, sized([]byte(title)), []byte("x"))
			return command([]byte{0, opEnd}, bytes.Repeat(one, 1_000_000))
		},
	}
}
