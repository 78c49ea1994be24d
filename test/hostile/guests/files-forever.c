// SPDX-License-Identifier: Apache-2.0
// Opens and closes a file for ever.
//
// kill: SIGKILL -> 137
// after: running
#include "files.h"

int main(void)
{
	must(try_open(ROOT, "file", CREATE, WRITE));
	say("running");
	for (;;)
		must(try_open(ROOT, "file", 0, READ));
}
