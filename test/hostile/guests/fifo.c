// SPDX-License-Identifier: Apache-2.0
// Opens a FIFO to which nobody writes.
//
// kill: SIGKILL -> 137
// after: running
// mount: rw /data
#include "files.h"

int main(void)
{
	__wasi_fd_t data = open_dir(ROOT, "data");

	say("running");
	expect(ANY, try_open(data, "fifo", 0, READ));
	return done();
}
