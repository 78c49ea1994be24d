// SPDX-License-Identifier: Apache-2.0
// Polls a hundred thousand clocks at once, of which most get no timer; then the same files again
// and again.
//
// exit: 0
// stdout: as it should be
#include "check.h"

#define N 100000
static __wasi_subscription_t list[N];
static __wasi_event_t events[N];

int main(void)
{
	__wasi_size_t n;

	for (int i = 0; i < N; i++) {
		list[i].userdata = (uint64_t)i;
		list[i].u.tag = __WASI_EVENTTYPE_CLOCK;
		list[i].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
		list[i].u.u.clock.timeout = 1;
	}
	expect(0, __wasi_poll_oneoff(list, events, N, &n));
	if (n == 0 || n > N)
		surprises++;
	for (int i = 0; i < N; i++) {
		list[i].u.tag = i % 2 ? __WASI_EVENTTYPE_FD_READ : __WASI_EVENTTYPE_FD_WRITE;
		list[i].u.u.fd_read.file_descriptor = (__wasi_fd_t)(i % 7);
	}
	expect(0, __wasi_poll_oneoff(list, events, N, &n));
	if (n == 0 || n > N)
		surprises++;
	// The events over the subscriptions.
	expect(0, __wasi_poll_oneoff(list, (__wasi_event_t *)list, N, &n));
	return done();
}
