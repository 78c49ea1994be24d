// SPDX-License-Identifier: Apache-2.0

// Blocks for ever in the socket call that its argument names: accept, connect,
// recv or send. Says so on stdout first, and exits with 1 if it does not block.

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

struct address {
	const uint8_t *bytes;
	uint32_t size;
};
struct slice {
	const void *at;
	uint32_t size;
};

IMPORT(sock_open) int32_t sock_open(int32_t family, int32_t type, int32_t *fd);
IMPORT(sock_bind) int32_t sock_bind(int32_t fd, struct address *a, int32_t port);
IMPORT(sock_listen) int32_t sock_listen(int32_t fd, int32_t backlog);
IMPORT(sock_accept) int32_t sock_accept(int32_t fd, uint32_t flags, int32_t *connection);
IMPORT(sock_connect) int32_t sock_connect(int32_t fd, struct address *a, int32_t port);
IMPORT(sock_getlocaladdr)
int32_t sock_getlocaladdr(int32_t fd, struct address *a, uint32_t *type, uint32_t *port);
IMPORT(sock_recv)
int32_t sock_recv(int32_t fd, struct slice *in, uint32_t n, uint32_t flags, uint32_t *got,
	uint32_t *out_flags);
IMPORT(sock_send)
int32_t sock_send(int32_t fd, struct slice *out, uint32_t n, uint32_t flags, uint32_t *sent);

static uint8_t loopback[4] = {127, 0, 0, 1};
static struct address address = {loopback, 4};

static int32_t stream(void)
{
	int32_t fd = -1;
	if (sock_open(1, 2, &fd) != 0)
		_exit(2);
	return fd;
}

static int32_t listener(uint32_t *port)
{
	static uint8_t bytes[16];
	struct address own = {bytes, sizeof(bytes)};
	uint32_t type;
	int32_t fd = stream();
	if (sock_bind(fd, &address, 0) != 0 || sock_listen(fd, 1) != 0 ||
		sock_getlocaladdr(fd, &own, &type, port) != 0)
		_exit(3);
	return fd;
}

int main(int argc, char **argv)
{
	const char *call = argc > 1 ? argv[1] : "";
	static char data[65536];
	struct slice slice = {data, sizeof(data)};
	uint32_t port, n, flags;
	int32_t fd = listener(&port), peer;
	write(1, "blocks\n", 7);
	if (strcmp(call, "accept") == 0)
		sock_accept(fd, 0, &peer);
	if (strcmp(call, "connect") == 0)
		while (sock_connect(stream(), &address, (int32_t)port) == 0)
			; // until the listener's queue is full
	peer = stream();
	if (sock_connect(peer, &address, (int32_t)port) != 0)
		return 4;
	if (strcmp(call, "recv") == 0)
		sock_recv(peer, &slice, 1, 0, &n, &flags);
	if (strcmp(call, "send") == 0)
		while (sock_send(peer, &slice, 1, 0, &n) == 0)
			;
	return 1;
}
