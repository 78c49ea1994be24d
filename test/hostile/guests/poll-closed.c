// SPDX-License-Identifier: Apache-2.0
// Polls files and closes them in between, so that their numbers come back for others.
//
// exit: 0
// stdout: as it should be
// network: pod
#include "check.h"
#include "sock.h"

int main(void)
{
	__wasi_subscription_t list[33] = {0};
	__wasi_event_t events[33];
	__wasi_size_t n;

	list[32].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
	list[32].u.u.clock.timeout = 1;
	for (int round = 0; round < 200; round++) {
		uint32_t fds[32];
		for (int i = 0; i < 32; i++) {
			must(sock_open(INET4, (i + round) % 2 ? STREAM : DATAGRAM, &fds[i]));
			list[i].u.tag = (i + round) % 3 ? __WASI_EVENTTYPE_FD_READ
							: __WASI_EVENTTYPE_FD_WRITE;
			list[i].u.u.fd_read.file_descriptor = (__wasi_fd_t)fds[i / 2];
		}
		must(__wasi_poll_oneoff(list, events, 33, &n));
		// Half of them go, by being closed or replaced.
		for (int i = 0; i < 32; i += 2)
			must(round % 2 ? __wasi_fd_close(fds[i])
				       : __wasi_fd_renumber(fds[i + 1], fds[i]));
		must(__wasi_poll_oneoff(list, events, 33, &n));
		for (int i = 0; i < 32; i++)
			(void)!__wasi_fd_close(fds[i]);
	}
	return done();
}
