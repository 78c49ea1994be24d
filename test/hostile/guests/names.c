// SPDX-License-Identifier: Apache-2.0
// Makes files whose names are control characters, not UTF-8, or too long, and a path of a megabyte.
//
// exit: 0
// stdout: as it should be
#include "files.h"

#include <string.h>

static char path[1 << 20];

int main(void)
{
	char name[] = "a?b";

	for (int c = 1; c < 256; c++) {
		name[1] = (char)c;
		if (c != '/')
			expect(0, try_open(ROOT, name, CREATE, WRITE));
	}
	memset(path, 'x', 255);
	expect(0, try_open(ROOT, path, CREATE, WRITE));
	memset(path, 'x', 256);
	expect(__WASI_ERRNO_NAMETOOLONG, try_open(ROOT, path, CREATE, WRITE));
	memset(path, 'x', sizeof(path) - 1);
	expect(__WASI_ERRNO_NAMETOOLONG, try_open(ROOT, path, CREATE, WRITE));
	memset(path, '/', sizeof(path) - 1);
	expect(ANY, try_open(ROOT, path, CREATE, WRITE));
	for (size_t i = 0; i + 2 < sizeof(path); i += 2)
		memcpy(path + i, "./", 2);
	try_open(ROOT, path, CREATE, WRITE);
	for (size_t i = 0; i + 3 < sizeof(path); i += 3)
		memcpy(path + i, "../", 3);
	expect(ANY, try_open(ROOT, path, CREATE, WRITE));
	return done();
}
