// SPDX-License-Identifier: Apache-2.0
// Reads its output and writes to its input: both may be pipes that others have.
//
// exit: 0
// stdout: as it should be
// stdin: open
#include "files.h"

#include "sock.h"

int main(void)
{
	uint8_t text[16];
	__wasi_size_t size;
	uint32_t received, flags;
	__wasi_filesize_t at;
	const __wasi_iovec_t in = {text, sizeof(text)};
	const __wasi_ciovec_t out = {text, sizeof(text)};
	const buffer list = {text, sizeof(text)};
	const uint64_t more = READ | WRITE | __WASI_RIGHTS_FD_SEEK;

	for (__wasi_fd_t fd = 1; fd < 3; fd++) {
		expect(ANY, __wasi_fd_read(fd, &in, 1, &size));
		expect(ANY, __wasi_fd_pread(fd, &in, 1, 0, &size));
		expect(ANY, sock_recv(fd, &list, 1, 0, &received, &flags));
		expect(ANY, __wasi_fd_readdir(fd, text, sizeof(text), 0, &size));
		expect(ANY, __wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
		expect(ANY, __wasi_fd_filestat_set_size(fd, 0));
		expect(ANY, __wasi_fd_fdstat_set_rights(fd, more, more));
		expect(ANY, try_open(fd, "file", CREATE, READ));
	}
	expect(ANY, __wasi_fd_write(0, &out, 1, &size));
	expect(ANY, sock_send(0, &list, 1, 0, &received));
	expect(ANY, __wasi_fd_fdstat_set_rights(0, more, more));
	return done();
}
