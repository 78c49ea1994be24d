// SPDX-License-Identifier: Apache-2.0

package modules

import "encoding/binary"

// A signature has a letter for each parameter: i is 32 bits wide, I 64. The result is
// 32 bits wide, but for none.
type function struct{ name, params string }

var pathOpen = function{"path_open", "iiiiiIIii"}

// wildValues are pointers, lengths, flags and files that are hardly ever right.
var wildValues = []uint32{0, 1, 3, 8, 1024, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff}

var (
	pointersFiles = wild("pointers-files", "a file", fileOpened,
		function{"fd_advise", "iIIi"}, function{"fd_allocate", "iII"}, function{"fd_datasync", "i"},
		function{"fd_fdstat_get", "ii"}, function{"fd_fdstat_set_flags", "ii"}, function{"fd_filestat_get", "ii"},
		function{"fd_filestat_set_size", "iI"}, function{"fd_filestat_set_times", "iIIi"}, function{"fd_pread", "iiiIi"},
		function{"fd_prestat_get", "ii"}, function{"fd_prestat_dir_name", "iii"}, function{"fd_pwrite", "iiiIi"},
		function{"fd_readdir", "iiiIi"}, function{"fd_seek", "iIii"}, function{"fd_sync", "i"}, function{"fd_tell", "ii"},
		function{"fd_read", "iiii"}, function{"fd_write", "iiii"}, function{"fd_fdstat_set_rights", "iII"},
		function{"fd_renumber", "ii"}, function{"fd_close", "i"})
	pointersPaths = wild("pointers-paths", "a path", rootDirectory,
		function{"path_create_directory", "iii"}, function{"path_filestat_get", "iiiii"},
		function{"path_filestat_set_times", "iiiiIIi"}, function{"path_link", "iiiiiii"}, pathOpen,
		function{"path_readlink", "iiiiii"}, function{"path_remove_directory", "iii"}, function{"path_rename", "iiiiii"},
		function{"path_symlink", "iiiii"}, function{"path_unlink_file", "iii"})
	pointersProcess = wild("pointers-process", "neither a file nor a path", rootDirectory,
		function{"args_get", "ii"}, function{"args_sizes_get", "ii"}, function{"environ_get", "ii"},
		function{"environ_sizes_get", "ii"}, function{"clock_res_get", "ii"}, function{"clock_time_get", "iIi"},
		function{"random_get", "ii"}, function{"sched_yield", ""}, function{"proc_raise", "i"})
	// Those that wait for somebody are left out.
	pointersSockets = wild("pointers-sockets", "a socket", socketOpened,
		function{"sock_open_v2", "iii"}, function{"sock_bind", "iii"}, function{"sock_bind_v2", "iii"},
		function{"sock_connect", "iii"}, function{"sock_connect_v2", "iii"}, function{"sock_recv", "iiiiii"},
		function{"sock_recv_v2", "iiiiii"}, function{"sock_recv_from", "iiiiiii"}, function{"sock_recv_from_v2", "iiiiiiii"},
		function{"sock_send", "iiiii"}, function{"sock_send_v2", "iiiii"}, function{"sock_send_to", "iiiiiii"},
		function{"sock_send_to_v2", "iiiiiii"}, function{"sock_setsockopt", "iiiii"}, function{"sock_getlocaladdr", "iiii"},
		function{"sock_getlocaladdr_v2", "iii"}, function{"sock_getpeeraddr", "iiii"}, function{"sock_getpeeraddr_v2", "iii"},
		function{"sock_getaddrinfo", "iiiiiiii"}, function{"sock_shutdown", "ii"})
)

// wild calls functions that take something with all pairs of wildValues in all pairs of
// places, and ends with exit code 42. What it keeps is in locals: its memory is what the
// host writes to.
func wild(name, something string, opened []byte, functions ...function) Module {
	return Module{
		Name: name,
		Header: "Calls the functions of WASI that take " + something + ` with pointers, lengths and flags that
make no sense.

exit: 42
`,
		Build: func() []byte { return wildModule(opened, functions) },
	}
}

// Locals of the main function, and functions by index. What is imported beside the
// functions to call comes first.
const (
	localFile  = 0
	localRound = 1

	funcExit     = 0
	funcPathOpen = 1
	funcSockOpen = 2
	firstFunc    = 3
)

func wildModule(opened []byte, functions []function) []byte {
	functions = append([]function{{"proc_exit", "i"}, pathOpen, {"sock_open", "iii"}}, functions...)
	main := len(functions)
	value := main + 1
	var typeList, importList [][]byte
	for i, f := range functions {
		typeList = append(typeList, typeOf(f))
		importList = append(importList, imported("wasi_snapshot_preview1", f.name, i))
	}
	body := join(list(join(leb(2), []byte{i32})), opened)
	for i := firstFunc; i < main; i++ {
		body = append(body, callsOf(i, functions[i].params, value)...)
	}
	body = append(body, join(constant(42), call(funcExit), []byte{opEnd})...)
	return module(
		section(types, list(append(typeList, noParams, []byte{funcType, 1, i32, 1, i32})...)),
		section(imports, list(importList...)),
		section(funcs, list(leb(main), leb(value))),
		section(memories, list([]byte{0, 2})),
		section(exports, list(exported("_start", main), join(sized([]byte("memory")), []byte{2, 0}))),
		section(code, list(sized(body), sized(valueBody()))),
		section(data, list(join([]byte{0}, constant(2000), []byte{opEnd}, sized([]byte("file"))))),
	)
}

func typeOf(f function) []byte {
	var params [][]byte
	for _, p := range f.params {
		params = append(params, []byte{map[rune]byte{'i': i32, 'I': i64}[p]})
	}
	if f.name == "proc_exit" {
		return join([]byte{funcType}, list(params...), list())
	}
	return join([]byte{funcType}, list(params...), list([]byte{i32}))
}

// callsOf calls function number index in a loop for each two places.
func callsOf(index int, params string, value int) (out []byte) {
	for i := range max(len(params), 1) {
		for k := i; k < max(len(params), 1); k++ {
			n := len(wildValues)
			out = append(out, join(constant(0), local(opLocalSet, localRound), []byte{opLoop, blockEmpty})...)
			for p := range params {
				switch p {
				case i:
					out = append(out, join(local(opLocalGet, localRound), constant(n), []byte{opI32RemU}, call(value))...)
				case k:
					out = append(out, join(local(opLocalGet, localRound), constant(n), []byte{opI32DivU}, call(value))...)
				case 0:
					out = append(out, local(opLocalGet, localFile)...)
				default:
					out = append(out, constant(16*p)...)
				}
				if params[p] == 'I' {
					out = append(out, opI64ExtendS)
				}
			}
			out = append(out, join(call(index), []byte{opDrop},
				local(opLocalGet, localRound), constant(1), []byte{opI32Add}, local(opLocalTee, localRound),
				constant(n*n), []byte{opI32LtU, opBrIf, 0, opEnd})...)
		}
	}
	return out
}

// valueBody returns wildValues[its argument].
func valueBody() []byte {
	body := leb(0)
	for i, v := range wildValues {
		body = append(body, join(local(opLocalGet, 0), constant(i), []byte{opI32Eq, opIf, blockEmpty},
			constant(int(int32(v))), []byte{opReturn, opEnd})...)
	}
	return join(body, constant(0), []byte{opEnd})
}

// These put a file into localFile.
var (
	rootDirectory = join(constant(3), local(opLocalSet, localFile))
	fileOpened    = join(constant(3), constant(0), constant(2000), constant(4), constant(1),
		[]byte{opI64Const}, signed(6|1<<6), []byte{opI64Const}, signed(0), constant(0), constant(2008),
		call(funcPathOpen), []byte{opDrop}, loadFile)
	socketOpened = join(constant(1), constant(2), constant(2008), call(funcSockOpen), []byte{opDrop}, loadFile,
		// An address of four bytes wherever one is expected: 0.0.0.0.
		storeAddresses())
	loadFile = join(constant(2008), []byte{opI32Load, 2, 0}, local(opLocalSet, localFile))
)

func storeAddresses() (out []byte) {
	for at := 16; at < 16*8; at += 16 {
		out = append(out, join(constant(at), constant(3000), []byte{opI32Store, 2, 0}, constant(at), constant(4), []byte{opI32Store, 2, 4})...)
	}
	return out
}

func local(op byte, index int) []byte { return append([]byte{op}, leb(index)...) }

func call(index int) []byte { return append([]byte{opCall}, leb(index)...) }

func constant(v int) []byte { return append([]byte{opI32Const}, signed(v)...) }

// signed is the signed LEB128 encoding.
func signed(v int) []byte {
	var out []byte
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func imported(from, name string, typeIndex int) []byte {
	return join(sized([]byte(from)), sized([]byte(name)), []byte{0}, binary.AppendUvarint(nil, uint64(typeIndex)))
}
