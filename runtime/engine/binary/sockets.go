// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// WasmEdge's socket functions have two versions. The first takes addresses of 4 or 16
// bytes, the second also some of 128 that begin with their family. Up to WasmEdge 0.11
// there was the first only. In 0.12, before its release, the second had its names; since
// then there are both, and the second's names end in "_v2". Libraries go on using it by
// the names that it had: stealthrocket/net for Go, and the crate wasmedge_wasi_socket.
//
// So WasmEdge takes the second if an import has not the first's signature, and then
// looks at the signature no more: a module could call it with any number of arguments,
// and native code would read and write past them. Here such an import gets the second's
// name, for which WasmEdge does compare them.
//
// These are the numbers of parameters, all of which are i32, as is the one result.
var socketParams = map[string]struct{ first, second int }{
	"sock_accept":       {2, 3},
	"sock_bind":         {3, 3},
	"sock_connect":      {3, 3},
	"sock_getlocaladdr": {4, 3},
	"sock_getpeeraddr":  {4, 3},
	"sock_listen":       {2, 2},
	"sock_open":         {3, 3},
	"sock_recv":         {6, 6},
	"sock_recv_from":    {7, 8},
	"sock_send":         {5, 5},
	"sock_send_to":      {7, 7},
}

// differing functions tell which version a module means by names that both have.
var differing = []string{"sock_getlocaladdr", "sock_getpeeraddr", "sock_recv_from"}

const wasi = "wasi_snapshot_preview1"

// renameSockets returns the content of an import section in which what means the second
// version of a socket function, and what is neither version, has the second's name. All
// of them have if the module means the second.
func renameSockets(content, types []byte) ([]byte, error) {
	imports, err := readImports(content)
	if errors.Is(err, errKind) {
		return content, nil // the host provides functions only
	}
	if err != nil {
		return nil, fmt.Errorf("is malformed: in its import section, %w", err)
	}
	params := countParams(types)
	second := slices.ContainsFunc(imports, func(imp Import) bool {
		return slices.Contains(differing, imp.Name) && imp.Module == wasi && paramsOf(imp, params) == socketParams[imp.Name].second
	})
	out := binary.AppendUvarint(nil, uint64(len(imports)))
	for _, imp := range imports {
		n, ok := socketParams[imp.Name]
		if ok && imp.Module == wasi && (paramsOf(imp, params) != n.first || second && n.first == n.second) {
			imp.Name += "_v2"
		}
		out = appendImport(out, imp)
	}
	return out, nil
}

// readImports reads imports of functions; another is errKind.
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

// noSocket stands for the type of no socket function.
const noSocket = -1

func paramsOf(imp Import, params []int) int {
	if uint64(imp.Type) >= uint64(len(params)) {
		return noSocket
	}
	return params[imp.Type]
}

// countParams returns the number of parameters of each type of a type section's content,
// as far as it can be read.
func countParams(content []byte) (params []int) {
	const function, i32 = 0x60, 0x7f
	r := reader{b: content}
	n, err := r.count()
	for ; err == nil && n > 0; n-- {
		var form byte
		var taken, results []byte // each value type is a byte
		if form, err = r.byte(); err != nil || form != function {
			return params
		}
		if taken, err = r.vector(); err != nil {
			return params
		}
		if results, err = r.vector(); err != nil {
			return params
		}
		all := slices.Concat(taken, results)
		if len(results) != 1 || slices.ContainsFunc(all, func(t byte) bool { return t != i32 }) {
			params = append(params, noSocket)
		} else {
			params = append(params, len(taken))
		}
	}
	return params
}
