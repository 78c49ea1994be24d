// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"encoding/binary"
	"slices"
)

// Socket functions of WasmEdge's that take or fill an address have two versions. The
// first takes an address of 4 or 16 bytes, the second also one of 128 that begins with
// its family. Up to WasmEdge 0.11 the names were those of the first, in 0.12 those of the
// second, and since then both are there, the second with "_v2" at the end of its names.
// Libraries for 0.12 go on using its names, stealthrocket/net for Go among them. These
// functions give them away, by their parameters.
var secondVersionParams = map[string]int{
	"sock_getlocaladdr": 3,
	"sock_getpeeraddr":  3,
	"sock_recv_from":    8,
}

// These have the same parameters in both.
var addressTakers = []string{"sock_bind", "sock_connect", "sock_open", "sock_send_to"}

const wasi = "wasi_snapshot_preview1"

// renameSockets returns the content of an import section in which socket functions have
// the names that WasmEdge 0.14 has for them, if they are those of WasmEdge 0.12. What is
// malformed comes back as it is.
func renameSockets(content, types []byte) []byte {
	params, err := countParams(types)
	if err != nil {
		return content
	}
	imports, err := readImports(content)
	if err != nil || !slices.ContainsFunc(imports, func(imp Import) bool { return isSecondVersion(imp, params) }) {
		return content
	}
	out := binary.AppendUvarint(nil, uint64(len(imports)))
	for _, imp := range imports {
		if isSecondVersion(imp, params) || imp.Module == wasi && slices.Contains(addressTakers, imp.Name) {
			imp.Name += "_v2"
		}
		out = appendImport(out, imp)
	}
	return out
}

func isSecondVersion(imp Import, params []int) bool {
	n, ok := secondVersionParams[imp.Name]
	return ok && imp.Module == wasi && uint64(imp.Type) < uint64(len(params)) && params[imp.Type] == n
}

// readImports reads imports of functions; any other is an error.
func readImports(content []byte) ([]Import, error) {
	r := reader{b: content}
	n, err := r.count()
	if err != nil {
		return nil, err
	}
	var imports []Import
	for range n {
		imp, err := readImport(&r)
		if err == nil && imp.Kind != KindFunction {
			err = errKind
		}
		if err != nil {
			return nil, err
		}
		imports = append(imports, imp)
	}
	if len(r.b) != 0 {
		return nil, errTrailing
	}
	return imports, nil
}

// countParams returns the number of parameters of each type of a type section.
func countParams(content []byte) ([]int, error) {
	const function = 0x60
	r := reader{b: content}
	n, err := r.count()
	if err != nil {
		return nil, err
	}
	var params []int
	for range n {
		form, err := r.byte()
		if err != nil {
			return nil, err
		}
		if form != function {
			return nil, errKind
		}
		taken, err := r.vector() // each value type is a byte
		if err != nil {
			return nil, err
		}
		if _, err := r.vector(); err != nil {
			return nil, err
		}
		params = append(params, len(taken))
	}
	return params, nil
}
