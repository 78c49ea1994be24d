// SPDX-License-Identifier: Apache-2.0
// Is paused and resumed in the middle of a poll of two clocks, and polls more, and longer, after
// it: the host must not remember the first.
//
// exit: 0
// after: running
// pause: resume
// stdout: as it should be
#include "check.h"

#define N 1000
static __wasi_subscription_t list[N];
static __wasi_event_t events[N];

static void set(int i, uint64_t ms)
{
	list[i].u.tag = __WASI_EVENTTYPE_CLOCK;
	list[i].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
	list[i].u.u.clock.timeout = ms * 1000000;
}

int main(void)
{
	__wasi_size_t n;

	set(0, 500);
	set(1, 800);
	say("running");
	(void)!__wasi_poll_oneoff(list, events, 2, &n);
	for (int i = 0; i < N; i++)
		set(i, (uint64_t)(400 + i));
	for (int round = 0; round < 3; round++)
		expect(0, __wasi_poll_oneoff(list, events, N, &n));
	return done();
}
