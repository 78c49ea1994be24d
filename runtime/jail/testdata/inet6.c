// SPDX-License-Identifier: Apache-2.0

// Sends itself a byte over ::1, by a stream and by datagrams, and answers those. Exits
// with the number of the step that went wrong.

#include <stdint.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

enum { INET6 = 2, DATAGRAM = 1, STREAM = 2 };

struct bytes {
	void *at;
	uint32_t size;
};

IMPORT(sock_open_v2) int32_t sock_open(int32_t family, int32_t type, int32_t *fd);
IMPORT(sock_bind_v2) int32_t sock_bind(int32_t fd, struct bytes *a, int32_t port);
IMPORT(sock_listen_v2) int32_t sock_listen(int32_t fd, int32_t backlog);
IMPORT(sock_accept_v2) int32_t sock_accept(int32_t fd, uint32_t flags, int32_t *connection);
IMPORT(sock_connect_v2) int32_t sock_connect(int32_t fd, struct bytes *a, int32_t port);
IMPORT(sock_getlocaladdr_v2)
int32_t sock_getlocaladdr(int32_t fd, struct bytes *a, uint32_t *port);
IMPORT(sock_getsockopt)
int32_t sock_getsockopt(int32_t fd, uint32_t level, uint32_t name, void *value, void *size);
IMPORT(sock_recv_v2)
int32_t sock_recv(int32_t fd, struct bytes *in, uint32_t n, uint32_t flags, uint32_t *got,
	uint32_t *out_flags);
IMPORT(sock_recv_from_v2)
int32_t sock_recv_from(int32_t fd, struct bytes *in, uint32_t n, struct bytes *a, uint32_t flags,
	uint32_t *port, uint32_t *got, uint32_t *out_flags);
IMPORT(sock_send_v2)
int32_t sock_send(int32_t fd, struct bytes *out, uint32_t n, uint32_t flags, uint32_t *sent);
IMPORT(sock_send_to_v2)
int32_t sock_send_to(int32_t fd, struct bytes *out, uint32_t n, struct bytes *a, uint32_t port,
	uint32_t flags, uint32_t *sent);

static uint8_t loopback[16] = {[15] = 1}, storage[128], byte[1] = {42};
static struct bytes address = {loopback, sizeof(loopback)}, from = {storage, sizeof(storage)};
static struct bytes message = {byte, sizeof(byte)};
static uint32_t n, flags;

// bound returns the port of a socket that is bound to one.
static uint32_t bound(int32_t type, int32_t *fd)
{
	uint32_t port = 0;
	if (sock_open(INET6, type, fd) != 0 || sock_bind(*fd, &address, 0) != 0 ||
		sock_getlocaladdr(*fd, &from, &port) != 0)
		return 0;
	return storage[0] == INET6 && memcmp(storage + 2, loopback, sizeof(loopback)) == 0 ? port
											   : 0;
}

static int stream(void)
{
	int32_t server, client, connection;
	uint32_t port = bound(STREAM, &server);
	if (port == 0 || sock_listen(server, 1) != 0)
		return 1;
	if (sock_open(INET6, STREAM, &client) != 0 || sock_connect(client, &address, port) != 0 ||
		sock_accept(server, 0, &connection) != 0)
		return 2;
	byte[0] = 42;
	if (sock_send(client, &message, 1, 0, &n) != 0 || n != 1)
		return 3;
	byte[0] = 0;
	if (sock_recv(connection, &message, 1, 0, &n, &flags) != 0 || n != 1 || byte[0] != 42)
		return 4;
	return 0;
}

// datagrams answers to the port that it is told.
static int datagrams(void)
{
	int32_t server, client;
	uint32_t to = bound(DATAGRAM, &server), own = bound(DATAGRAM, &client), port = 0;
	if (to == 0 || own == 0)
		return 5;
	if (sock_send_to(client, &message, 1, &address, to, 0, &n) != 0 ||
		sock_recv_from(server, &message, 1, &from, 0, &port, &n, &flags) != 0)
		return 6;
	if (port != own || n != 1)
		return 7;
	if (sock_send_to(server, &message, 1, &from, port, 0, &n) != 0 ||
		sock_recv_from(client, &message, 1, &from, 0, &port, &n, &flags) != 0 || port != to)
		return 8;
	return 0;
}

// unbounded asks for the error of a socket, and has no room for it, or none at all.
static int unbounded(void)
{
	static uint32_t none[2];
	int32_t fd, error = -1;
	if (sock_open(INET6, STREAM, &fd) != 0)
		return 9;
	if (sock_getsockopt(fd, 0, 2, &error, none) != 0 || error != 0)
		return 10;
	none[0] = 0;
	if (sock_getsockopt(fd, 0, 2, (void *)UINT32_MAX, none) == 0)
		return 11;
	return 0;
}

int main(void)
{
	int step = stream();
	if (step == 0)
		step = datagrams();
	return step == 0 ? unbounded() : step;
}
