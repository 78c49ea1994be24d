// SPDX-License-Identifier: Apache-2.0
// Makes files of sizes that no disk has.
//
// exit: 0
// stdout: as it should be
#include "files.h"

int main(void)
{
	const uint64_t rights = WRITE | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_ALLOCATE |
				__WASI_RIGHTS_FD_FILESTAT_SET_SIZE |
				__WASI_RIGHTS_FD_FILESTAT_SET_TIMES;
	const __wasi_ciovec_t list = {(const uint8_t *)"x", 1};
	__wasi_fd_t fd;
	__wasi_size_t written;
	__wasi_filesize_t at;

	must(open_in(ROOT, "file", CREATE, rights, &fd));
	// A tmpfs takes these.
	(void)__wasi_fd_filestat_set_size(fd, 1ULL << 62);
	(void)__wasi_fd_pwrite(fd, &list, 1, 1ULL << 62, &written);
	expect(ANY, __wasi_fd_filestat_set_size(fd, -1ULL));
	expect(ANY, __wasi_fd_allocate(fd, 0, 1ULL << 50));
	expect(ANY, __wasi_fd_allocate(fd, -1ULL, -1ULL));
	expect(ANY, __wasi_fd_pwrite(fd, &list, 1, -1ULL, &written));
	expect(ANY, __wasi_fd_seek(fd, INT64_MIN, __WASI_WHENCE_SET, &at));
	// A file with a hole: the image's other files must not be copied with it.
	expect(0, __wasi_fd_filestat_set_size(fd, 1ULL << 40));
	expect(0, __wasi_fd_pwrite(fd, &list, 1, (1ULL << 40) - 1, &written));
	expect(0, __wasi_fd_filestat_set_times(
			  fd, -1ULL, 0, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
	return done();
}
