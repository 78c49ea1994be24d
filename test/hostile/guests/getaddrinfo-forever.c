// SPDX-License-Identifier: Apache-2.0
// Looks up names that need no server, for ever.
//
// kill: SIGKILL -> 137
// after: running
#include "addrinfo.h"
#include "check.h"

int main(void)
{
	must(look_up("localhost"));
	say("running");
	for (;;) {
		look_up("127.0.0.1");
		look_up("localhost");
		look_up("a..b");
	}
}
