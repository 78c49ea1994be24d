// SPDX-License-Identifier: Apache-2.0
// Follows symbolic links that lead out of a volume: absolute ones, relative ones, one to
// /proc/self, and one to itself.
//
// exit: 0
// stdout: as it should be
// mount: rw /data
#include "files.h"

static const char *const links[] = {"absolute", "up", "etc", "self", "loop"};
static const char *const below[] = {
	"etc/passwd", "self/maps", "self/mem", "self/root", "self/fd/0", "loop/x"};

int main(void)
{
	__wasi_filestat_t stat;
	__wasi_fd_t data = open_dir(ROOT, "data");

	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		expect(ANY, try_open(data, links[i], 0, READ));
		expect(ANY, try_open(data, links[i], 0, WRITE));
		expect(ANY, try_open(data, links[i], CREATE | TRUNCATE, WRITE));
		expect(ANY, try_open(data, links[i], DIRECTORY, READ));
		expect(ANY,
			__wasi_path_open(data, 0, links[i], 0, READ, READ, 0, &(__wasi_fd_t){0}));
		expect(ANY, __wasi_path_filestat_get(data, FOLLOW, links[i], &stat));
		expect(ANY, __wasi_path_filestat_set_times(
				    data, FOLLOW, links[i], 0, 0, __WASI_FSTFLAGS_MTIM));
		expect(ANY, __wasi_path_link(data, FOLLOW, links[i], data, "hard"));
	}
	for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++) {
		expect(ANY, try_open(data, below[i], 0, READ));
		expect(ANY, try_open(data, below[i], CREATE, WRITE));
		expect(ANY, __wasi_path_create_directory(data, below[i]));
		expect(ANY, __wasi_path_unlink_file(data, below[i]));
	}
	return done();
}
