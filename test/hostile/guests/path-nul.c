// SPDX-License-Identifier: Apache-2.0
// Hides the rest of a path behind a byte that ends it for the host.
//
// exit: 0
// stdout: as it should be
#include "files.h"

__attribute__((import_module("wasi_snapshot_preview1"), import_name("path_open"))) uint32_t
raw_open(uint32_t dir, uint32_t lookup, const char *path, uint32_t size, uint32_t oflags,
	uint64_t rights, uint64_t inheriting, uint32_t flags, uint32_t *fd);

int main(void)
{
	static const char path[] = "path-nul.wasm\0/../../../etc/passwd";
	uint32_t fd;

	expect(0, raw_open(ROOT, 0, path, 13, 0, READ, 0, 0, &fd));
	expect(__WASI_ERRNO_INVAL, raw_open(ROOT, 0, path, 14, 0, READ, 0, 0, &fd));
	expect(__WASI_ERRNO_INVAL, raw_open(ROOT, 0, path, sizeof(path), 0, READ, 0, 0, &fd));
	expect(__WASI_ERRNO_INVAL, raw_open(ROOT, 0, path + 13, 1, 0, READ, 0, 0, &fd));
	expect(__WASI_ERRNO_NOENT, raw_open(ROOT, 0, path, 0, 0, READ, 0, 0, &fd));
	return done();
}
