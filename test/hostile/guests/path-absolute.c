// SPDX-License-Identifier: Apache-2.0
// Names files of the host by absolute paths.
//
// exit: 0
// stdout: as it should be
#include "files.h"

static const char *const paths[] = {"/", "/etc/passwd", "/proc/self/maps", "/dev/mem",
	"//etc/passwd", "/../etc/passwd", "/path-absolute.wasm"};

int main(void)
{
	__wasi_filestat_t stat;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		expect(__WASI_ERRNO_PERM, try_open(ROOT, paths[i], 0, READ));
		expect(__WASI_ERRNO_PERM, try_open(ROOT, paths[i], CREATE, WRITE));
		expect(__WASI_ERRNO_PERM, __wasi_path_filestat_get(ROOT, FOLLOW, paths[i], &stat));
		expect(__WASI_ERRNO_PERM, __wasi_path_create_directory(ROOT, paths[i]));
		expect(__WASI_ERRNO_PERM, __wasi_path_unlink_file(ROOT, paths[i]));
		expect(ANY, __wasi_path_symlink(paths[i], ROOT, "link"));
		expect(ANY, __wasi_path_link(ROOT, 0, paths[i], ROOT, "link"));
	}
	return done();
}
