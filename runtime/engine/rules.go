// SPDX-License-Identifier: Apache-2.0

package engine

import "slices"

// rules are what a module must satisfy beyond being valid. They are part of the
// module's key, so that an exemption made for one caller helps no other.
type rules struct {
	// Imports are functions that the host provides beside WASI's, sorted.
	Imports []importName `json:"imports,omitempty"`
}

type importName struct {
	Module string `json:"module"`
	Name   string `json:"name"`
}

// An Option relaxes what LoadBytes asks of a module.
type Option func(*rules)

// WithImport accepts the import of one function that the caller provides. Its
// signature is not compared before the module is instantiated.
func WithImport(module, name string) Option {
	return func(r *rules) { r.Imports = append(r.Imports, importName{module, name}) }
}

func newRules(opts []Option) rules {
	var r rules
	for _, opt := range opts {
		opt(&r)
	}
	slices.SortFunc(r.Imports, func(a, b importName) int {
		return slices.Compare([]string{a.Module, a.Name}, []string{b.Module, b.Name})
	})
	return r
}

func (r rules) allow(module, name string) bool {
	return slices.Contains(r.Imports, importName{module, name})
}
