// SPDX-License-Identifier: Apache-2.0
// Makes symbolic links that lead out of a volume and out of its root, also one by one, and follows
// them.
//
// exit: 0
// stdout: as it should be
// mount: rw /data
#include "files.h"

static const char *const targets[] = {"..", "../secret", "../../secret", "../../../etc/passwd",
	"./../secret", "dir/../../secret", "made-0/secret"};

int main(void)
{
	char name[16];
	__wasi_filestat_t stat;
	__wasi_fd_t data = open_dir(ROOT, "data");

	expect(ANY, __wasi_path_symlink("/etc/passwd", data, "made"));
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		snprintf(name, sizeof(name), "made-%zu", i);
		must(__wasi_path_symlink(targets[i], data, name));
		expect(ANY, try_open(data, name, 0, READ));
		expect(ANY, try_open(data, name, CREATE, WRITE));
		expect(ANY, try_open(data, name, DIRECTORY, READ));
		expect(ANY, __wasi_path_filestat_get(data, FOLLOW, name, &stat));
	}
	expect(ANY, try_open(data, "made-0/secret", 0, READ));
	expect(ANY, try_open(data, "made-0/file", CREATE, WRITE));
	// A chain of links, each of which looks harmless.
	must(__wasi_path_symlink("dir/sub", data, "one"));
	must(__wasi_path_symlink("one/../../..", data, "two"));
	expect(ANY, try_open(data, "two/secret", 0, READ));
	return done();
}
