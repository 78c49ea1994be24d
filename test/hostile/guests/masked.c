// SPDX-License-Identifier: Apache-2.0
// Looks at what is masked, and writes to what may only be read.
//
// exit: 0
// stdout: as it should be
// mount: rw /data
// mask: /data/file
// mask: /data/dir/sub
// protect: /data/dir
#include "files.h"

int main(void)
{
	uint8_t text[16];
	__wasi_size_t size = 0;
	__wasi_fd_t fd, data = open_dir(ROOT, "data");

	// A masked file is empty, or cannot be opened; a masked directory is empty.
	if (open_in(data, "file", 0, READ, &fd) == 0) {
		uint32_t err = __wasi_fd_read(fd, &(__wasi_iovec_t){text, sizeof(text)}, 1, &size);
		if (err == 0 && size != 0)
			surprises++;
	}
	expect(ANY, try_open(data, "dir/sub/file", 0, READ));
	expect(ANY, try_open(data, "dir/sub/new", CREATE, WRITE));
	expect(0, try_open(data, "dir/file", 0, READ));
	expect(__WASI_ERRNO_ROFS, try_open(data, "dir/file", 0, WRITE));
	expect(__WASI_ERRNO_ROFS, try_open(data, "dir/new", CREATE, WRITE));
	expect(__WASI_ERRNO_ROFS, __wasi_path_unlink_file(data, "dir/file"));
	expect(ANY, __wasi_path_rename(data, "dir", data, "new"));
	expect(0, try_open(data, "new", CREATE, WRITE));
	return done();
}
