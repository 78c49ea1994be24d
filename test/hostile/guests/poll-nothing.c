// SPDX-License-Identifier: Apache-2.0
// Polls only what there is not: the host waits for ever.
//
// kill: SIGKILL -> 137
// after: running
#include "check.h"

int main(void)
{
	__wasi_subscription_t list[1] = {0};
	__wasi_event_t events[1];
	__wasi_size_t n;

	list[0].u.tag = __WASI_EVENTTYPE_FD_READ;
	list[0].u.u.fd_read.file_descriptor = 12345;
	say("running");
	for (;;)
		(void)!__wasi_poll_oneoff(list, events, 1, &n);
}
