// SPDX-License-Identifier: Apache-2.0

package modules

var (
	truncatedHeader  = truncated("header", "create: is truncated", func(whole int) int { return 6 })
	truncatedSection = truncated("section", "create: truncated", func(whole int) int { return whole / 2 })
	truncatedEnd     = truncated("end", "create: truncated", func(whole int) int { return whole - 1 })
)

// truncated is the beginning of a module that is otherwise right.
func truncated(where, keys string, size func(whole int) int) Module {
	return Module{
		Name:   "truncated-" + where,
		Header: "Ends in the middle of its " + where + ".\n\n" + keys,
		Build: func() []byte {
			whole := command(join(leb(0), constant(1), []byte{opDrop, opEnd}))
			return whole[:size(len(whole))]
		},
	}
}
