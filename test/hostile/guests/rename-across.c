// SPDX-License-Identifier: Apache-2.0
// Renames files between its root and two volumes, over mount points, and into themselves: error 75
// is EXDEV.
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

	must(try_open(ROOT, "file", CREATE, WRITE));
	expect(__WASI_ERRNO_XDEV, __wasi_path_rename(ROOT, "file", one, "new"));
	expect(__WASI_ERRNO_XDEV, __wasi_path_rename(one, "file", ROOT, "new"));
	expect(__WASI_ERRNO_XDEV, __wasi_path_rename(one, "file", two, "new"));
	expect(__WASI_ERRNO_XDEV, __wasi_path_rename(one, "dir", two, "new"));
	expect(ANY, __wasi_path_rename(one, "absolute", two, "new"));
	expect(ANY, __wasi_path_rename(three, "file", one, "new"));
	expect(ANY, __wasi_path_rename(one, "file", three, "new"));
	expect(ANY, __wasi_path_rename(ROOT, "one", ROOT, "new"));
	expect(ANY, __wasi_path_rename(ROOT, "file", ROOT, "one"));
	expect(ANY, __wasi_path_rename(ROOT, "one", two, "new"));
	expect(ANY, __wasi_path_remove_directory(ROOT, "one"));
	expect(ANY, __wasi_path_rename(one, ".", ROOT, "new"));
	expect(ANY, __wasi_path_rename(one, "dir", one, "dir/sub/new"));
	return done();
}
