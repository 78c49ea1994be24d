// SPDX-License-Identifier: Apache-2.0
// Tries to change its root, which is read-only, by its preopen and by handles below. A volume in it
// may be written to.
//
// exit: 0
// stdout: as it should be
// root: ro
// mount: rw /data
#include "files.h"

// attack tries to change a directory in every way: a file and a directory in it, and a
// new name.
static void attack(__wasi_fd_t dir, const char *file, const char *sub, const char *new)
{
	const uint32_t readonly = __WASI_ERRNO_ROFS;
	__wasi_fd_t fd;

	expect(readonly, try_open(dir, new, CREATE, WRITE));
	expect(readonly, try_open(dir, new, CREATE, READ));
	expect(readonly, try_open(dir, file, 0, WRITE));
	expect(readonly, try_open(dir, file, 0, READ | WRITE));
	expect(readonly, try_open(dir, file, TRUNCATE, WRITE));
	expect(readonly, __wasi_path_create_directory(dir, new));
	expect(readonly, __wasi_path_symlink("file", dir, new));
	expect(readonly, __wasi_path_link(dir, 0, file, dir, new));
	expect(readonly, __wasi_path_rename(dir, file, dir, new));
	expect(readonly, __wasi_path_unlink_file(dir, file));
	expect(readonly, __wasi_path_filestat_set_times(
				 dir, 0, file, 0, 0, __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_ATIM));
	if (sub != NULL) {
		expect(readonly, __wasi_path_remove_directory(dir, sub));
		expect(readonly, __wasi_path_rename(dir, sub, dir, new));
		expect(readonly, __wasi_path_rename(dir, file, dir, sub));
	}
	// Reading is what it is for.
	must(open_in(dir, file, 0, READ, &fd));
	expect(ANY, __wasi_fd_filestat_set_size(fd, 0));
	expect(ANY, __wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM));
	expect(ANY, __wasi_fd_allocate(fd, 0, 100));
	expect(ANY, __wasi_fd_write(fd, &(__wasi_ciovec_t){(const uint8_t *)"x", 1}, 1,
			    &(__wasi_size_t){0}));
	must(__wasi_fd_close(fd));
}

int main(void)
{
	attack(ROOT, "readonly-root.wasm", "data", "new");
	expect(0, try_open(open_dir(ROOT, "data"), "new", CREATE, WRITE));
	return done();
}
