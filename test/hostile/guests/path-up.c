// SPDX-License-Identifier: Apache-2.0
// Leaves its root by .. in every way.
//
// exit: 0
// stdout: as it should be
#include "files.h"

static const char *const paths[] = {"..", "../", "../..", "../etc/passwd",
	"../../../../../../etc/passwd", "./../etc/passwd", "dir/../../etc/passwd",
	"dir/./../../etc/passwd", "dir/dir/../../../etc", "dir//..//..//etc", "dir/../..",
	"dir/../../dir"};

int main(void)
{
	__wasi_filestat_t stat;
	__wasi_fd_t dir;

	must(__wasi_path_create_directory(ROOT, "dir"));
	must(__wasi_path_create_directory(ROOT, "dir/dir"));
	dir = open_dir(ROOT, "dir");
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		const char *path = paths[i];
		expect(ANY, try_open(ROOT, path, 0, READ));
		expect(ANY, try_open(ROOT, path, CREATE, WRITE));
		expect(ANY, try_open(ROOT, path, DIRECTORY, READ));
		expect(ANY, __wasi_path_filestat_get(ROOT, FOLLOW, path, &stat));
		expect(ANY,
			__wasi_path_filestat_set_times(ROOT, 0, path, 0, 0, __WASI_FSTFLAGS_MTIM));
		expect(ANY, __wasi_path_create_directory(ROOT, path));
		expect(ANY, __wasi_path_remove_directory(ROOT, path));
		expect(ANY, __wasi_path_unlink_file(ROOT, path));
		expect(ANY, __wasi_path_rename(ROOT, "dir", ROOT, path));
		expect(ANY, __wasi_path_rename(ROOT, path, ROOT, "new"));
		expect(ANY, __wasi_path_link(ROOT, 0, path, ROOT, "new"));
		expect(ANY, __wasi_path_symlink("dir", ROOT, path));
		// A handle of a directory is no way up either.
		expect(ANY, try_open(dir, path, 0, READ));
		expect(ANY, __wasi_path_filestat_get(dir, FOLLOW, path, &stat));
	}
	return done();
}
