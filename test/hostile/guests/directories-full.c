// SPDX-License-Identifier: Apache-2.0
// Makes twenty thousand files in a directory, and reads it from places that are not there.
//
// exit: 0
// stdout: as it should be
#include "files.h"

int main(void)
{
	static uint8_t entries[4096];
	char name[16];
	__wasi_size_t size;

	must(__wasi_path_create_directory(ROOT, "dir"));
	__wasi_fd_t dir = open_dir(ROOT, "dir");
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		must(try_open(dir, name, CREATE, WRITE));
	}
	for (uint64_t cookie = 1; cookie != 0; cookie <<= 1) {
		uint32_t err = __wasi_fd_readdir(dir, entries, sizeof(entries), cookie, &size);
		if (err == 0 && size > sizeof(entries))
			surprises++;
	}
	expect(0, __wasi_fd_readdir(dir, entries, 0, 0, &size));
	expect(0, __wasi_fd_readdir(dir, entries, 1, 0, &size));
	return done();
}
