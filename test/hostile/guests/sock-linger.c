// SPDX-License-Identifier: Apache-2.0
// Closes sockets that have not sent all, with a time to linger, when it ends.
//
// exit: 0
// network: pod
#include "check.h"
#include "sock.h"

static uint8_t data[1 << 20];

int main(void)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	const address a = {loopback, sizeof(loopback)};
	const buffer list = {data, sizeof(data)};
	const int32_t linger[2] = {1, 1000};
	uint32_t server, client, size;

	must(sock_open(INET4, STREAM, &server));
	must(sock_bind(server, &a, 7100));
	must(sock_listen(server, 1));
	must(sock_open(INET4, STREAM, &client));
	sock_setsockopt(client, 0, 9, linger, sizeof(linger));
	must(sock_connect(client, &a, 7100));
	must(__wasi_fd_fdstat_set_flags(client, __WASI_FDFLAGS_NONBLOCK));
	while (sock_send(client, &list, 1, 0, &size) == 0)
		;
	return 0;
}
