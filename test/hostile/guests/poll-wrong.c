// SPDX-License-Identifier: Apache-2.0
// Polls kinds, clocks and files that there are not, times beyond all, and too much at once.
//
// exit: 0
// stdout: as it should be
#include "check.h"

int main(void)
{
	__wasi_subscription_t list[4] = {0};
	__wasi_event_t events[4];
	__wasi_size_t n;

	// Something that happens: the host would wait for ever for nothing.
	list[0].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
	list[0].u.u.clock.timeout = 1000000;
	for (int tag = 0; tag < 256; tag++) {
		for (int id = -1; id < 6; id++) {
			list[1].u.tag = (uint8_t)tag;
			list[1].u.u.clock.id = (__wasi_clockid_t)id;
			list[1].u.u.clock.timeout = -1ULL;
			list[1].u.u.clock.flags = (__wasi_subclockflags_t)(id * 77);
			list[2] = list[3] = list[1];
			expect(0, __wasi_poll_oneoff(list, events, 4, &n));
			if (n == 0 || n > 4)
				surprises++;
			if (tag > 2)
				id = 6;
		}
	}
	expect(__WASI_ERRNO_FAULT, __wasi_poll_oneoff(list, events, 0x4000000, &n));
	expect(__WASI_ERRNO_FAULT, __wasi_poll_oneoff((void *)0xffffff00, events, 1, &n));
	expect(__WASI_ERRNO_FAULT, __wasi_poll_oneoff(list, (void *)0xffffff00, 1, &n));
	expect(__WASI_ERRNO_FAULT, __wasi_poll_oneoff(list, events, 1, (void *)0xffffff00));
	return done();
}
