// SPDX-License-Identifier: Apache-2.0

package modules

import "runtime"

var aot = Module{
	Name: "aot",
	Header: `Brings native code in the section that WasmEdge would run: it would end the daemon. Its
WebAssembly exits with 17.

exit: 17
`,
	Build: func() []byte {
		exit := join(leb(0), constant(17), call(0), []byte{opEnd})
		return module(
			section(types, list(noParams, []byte{funcType, 1, i32, 0})),
			section(imports, list(imported("wasi_snapshot_preview1", "proc_exit", 1))),
			section(funcs, list([]byte{0})),
			section(exports, list(exported("_start", 1))),
			section(code, list(sized(exit))),
			section(custom, sized([]byte("wasmedge")), nativeCode()),
		)
	},
}

// nativeCode is the content of WasmEdge's section (lib/loader/aot_section.cpp): version,
// operating system, architecture, addresses of its tables, of types and of functions,
// and segments with a kind, an address, a size and bytes.
func nativeCode() []byte {
	arch, exitGroup := byte(1), []byte("\xbf\x63\x00\x00\x00\xb8\xe7\x00\x00\x00\x0f\x05") // mov edi, 99; mov eax, 231; syscall
	if runtime.GOARCH == "arm64" {
		arch, exitGroup = 2, []byte("\x60\x0c\x80\xd2\xc8\x0b\x80\xd2\x01\x00\x00\xd4") // mov x0, #99; mov x8, #94; svc #0
	}
	page := append(exitGroup, make([]byte, 4096-len(exitGroup))...)
	return join(
		leb(3), []byte{1, arch}, leb(4096), leb(4096),
		list(leb(4096), leb(4096)), list(leb(4096)),
		list(join([]byte{1}, leb(4096), leb(len(page)), sized(page))),
	)
}
