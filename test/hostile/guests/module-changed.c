// SPDX-License-Identifier: Apache-2.0
// Changes its own module, which other containers share, in every way. It may replace its own name
// for it.
//
// exit: 0
// stdout: as it should be
#include "files.h"

static const char *const module = "module-changed.wasm";

int main(void)
{
	expect(ANY, try_open(ROOT, module, 0, WRITE));
	expect(ANY, try_open(ROOT, module, 0, READ | WRITE));
	expect(ANY, try_open(ROOT, module, TRUNCATE, WRITE));
	expect(ANY, __wasi_path_filestat_set_times(ROOT, 0, module, 0, 0, __WASI_FSTFLAGS_MTIM));
	if (__wasi_path_link(ROOT, 0, module, ROOT, "link") == 0)
		expect(ANY, try_open(ROOT, "link", 0, WRITE));
	must(try_open(ROOT, "other", CREATE, WRITE));
	// Whether this works depends on how the module is protected.
	uint32_t renamed = __wasi_path_rename(ROOT, "other", ROOT, module);
	uint32_t removed = __wasi_path_unlink_file(ROOT, module);
	printf("rename: %u, unlink: %u\n", renamed, removed);
	return done();
}
