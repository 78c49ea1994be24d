// SPDX-License-Identifier: Apache-2.0
// Makes hard links across its root and volumes, to devices, and to symbolic links that lead out:
// error 75 is EXDEV.
//
// exit: 0
// stdout: as it should be
// mount: rw /one
// mount: rw /two
// mount: ro /three
#include "files.h"

int main(void)
{
	__wasi_fd_t one = open_dir(ROOT, "one"), two = open_dir(ROOT, "two"),
		    three = open_dir(ROOT, "three");

	expect(__WASI_ERRNO_XDEV, __wasi_path_link(one, 0, "file", ROOT, "new"));
	expect(__WASI_ERRNO_XDEV, __wasi_path_link(one, 0, "file", two, "new"));
	expect(__WASI_ERRNO_XDEV, __wasi_path_link(ROOT, 0, "link-outside.wasm", one, "new"));
	expect(__WASI_ERRNO_XDEV, __wasi_path_link(three, 0, "file", one, "new"));
	expect(ANY, __wasi_path_link(one, 0, "file", three, "new"));
	expect(ANY, __wasi_path_link(three, 0, "file", three, "new"));
	expect(ANY, __wasi_path_link(one, FOLLOW, "absolute", one, "new"));
	expect(ANY, __wasi_path_link(one, FOLLOW, "up", one, "new"));
	expect(ANY, __wasi_path_link(one, 0, "../secret", one, "new"));
	expect(ANY, __wasi_path_link(one, 0, "dir", one, "new"));
	// Within a volume it may: a link to a symbolic link, or a device, is no way out.
	expect(0, __wasi_path_link(one, 0, "absolute", one, "link"));
	expect(ANY, try_open(one, "link", 0, READ));
	expect(0, __wasi_path_link(one, 0, "null", one, "device"));
	expect(ANY, try_open(one, "device", 0, READ));
	return done();
}
