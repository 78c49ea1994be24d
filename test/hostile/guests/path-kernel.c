// SPDX-License-Identifier: Apache-2.0
// Looks for what the kernel shows of processes and devices. The root has only what the image has.
//
// exit: 0
// stdout: as it should be
#include "files.h"

static const char *const paths[] = {"proc", "proc/self", "proc/self/maps", "proc/self/mem",
	"proc/self/fd", "proc/self/root", "proc/self/environ", "proc/thread-self", "proc/1",
	"proc/sys/kernel/core_pattern", "sys", "sys/fs/cgroup", "dev", "dev/mem", "dev/kmsg",
	"dev/shm", "run", "etc/shadow"};

int main(void)
{
	__wasi_filestat_t stat;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		expect(__WASI_ERRNO_NOENT, __wasi_path_filestat_get(ROOT, FOLLOW, paths[i], &stat));
		expect(__WASI_ERRNO_NOENT, try_open(ROOT, paths[i], 0, READ));
	}
	return done();
}
