// SPDX-License-Identifier: Apache-2.0

// Blocks in the call that its first argument names until a peer lets it go on: accept,
// connect, recv, read, send or write on a socket, or output to a pipe. Its second argument
// is the peer's port, for all but accept, which writes its own to stdout. A third one has
// timeouts of a minute set for the socket. Exits with the error number of the call, or 100
// if what it received is not "line".

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

#include "../../../test/hostile/guests/sock.h"

enum { SOCKET = 0, RCVTIMEO = 11, SNDTIMEO = 12, ROUNDS = 128 };

static uint8_t loopback[4] = {127, 0, 0, 1};
static const address here = {loopback, sizeof(loopback)};
static char data[65536];

static void must(uint32_t err)
{
	if (err != 0)
		_exit(200);
}

static uint32_t open_socket(bool timeouts)
{
	static const int64_t minute[2] = {60, 0};
	uint32_t fd = -1;
	must(sock_open(INET4, STREAM, &fd));
	if (timeouts) {
		must(sock_setsockopt(fd, SOCKET, RCVTIMEO, minute, sizeof(minute)));
		must(sock_setsockopt(fd, SOCKET, SNDTIMEO, minute, sizeof(minute)));
	}
	return fd;
}

static uint32_t accept_one(uint32_t fd)
{
	static uint8_t bytes[16];
	buffer own = {bytes, sizeof(bytes)};
	uint32_t type, port;
	uint32_t peer;
	must(sock_bind(fd, &here, 0));
	must(sock_listen(fd, 1));
	must(sock_getlocaladdr(fd, &own, &type, &port));
	dprintf(1, "%u\n", (unsigned)port);
	return sock_accept(fd, 0, &peer);
}

static uint32_t receive(uint32_t fd, bool by_read)
{
	buffer in = {data, sizeof(data)};
	__wasi_iovec_t iov = {(uint8_t *)data, sizeof(data)};
	__wasi_size_t n = 0;
	uint32_t flags;
	uint32_t err = by_read ? __wasi_fd_read(fd, &iov, 1, &n)
			       : sock_recv(fd, &in, 1, 0, (uint32_t *)&n, &flags);
	return err != 0 || (n == 4 && memcmp(data, "line", 4) == 0) ? err : 100;
}

// give sends ROUNDS times what data has.
static uint32_t give(uint32_t fd, bool by_write)
{
	__wasi_size_t n;
	for (__wasi_size_t left = ROUNDS * sizeof(data); left > 0; left -= n) {
		__wasi_size_t size = left < sizeof(data) ? left : sizeof(data);
		buffer out = {data, size};
		__wasi_ciovec_t iov = {(uint8_t *)data, size};
		uint32_t err = by_write ? __wasi_fd_write(fd, &iov, 1, &n)
					: sock_send(fd, &out, 1, 0, (uint32_t *)&n);
		if (err != 0)
			return err;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *call = argv[1];
	uint32_t port = atoi(argv[2]);
	if (strcmp(call, "output") == 0)
		return give(1, true);
	uint32_t fd = open_socket(argc > 3);
	if (strcmp(call, "accept") == 0)
		return accept_one(fd);
	uint32_t err = sock_connect(fd, &here, port);
	if (err != 0 || strcmp(call, "connect") == 0)
		return err;
	if (strcmp(call, "recv") == 0 || strcmp(call, "read") == 0)
		return receive(fd, strcmp(call, "read") == 0);
	return give(fd, strcmp(call, "write") == 0);
}
