// SPDX-License-Identifier: Apache-2.0

// Package modules writes hostile WebAssembly modules that no compiler would make, one
// in each file.
package modules

// Module is one of them.
type Module struct {
	Name   string
	Header string        // what must happen to it: see package hostile
	Build  func() []byte // the file's content
}

// All returns the modules.
func All() []Module {
	return []Module{
		functions,
	}
}
