// SPDX-License-Identifier: Apache-2.0

package modules

// counts are modules with a section that says it has four billion items, and has three
// bytes.
var counts = []Module{
	count("types", types),
	count("imports", imports),
	count("functions", funcs),
	count("tables", tables),
	count("memories", memories),
	count("globals", globals),
	count("exports", exports),
	count("elements", elements),
	count("code", code),
	count("data", data),
}

func count(name string, id byte) Module {
	return Module{
		Name: "count-" + name,
		Header: "Says that it has four billion " + name + `.

create: module
`,
		Build: func() []byte { return module(section(id, leb(0xffffffff), []byte{0, 0, 0})) },
	}
}
