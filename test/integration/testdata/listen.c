// SPDX-License-Identifier: Apache-2.0
// Listens on the TCP port given, on all addresses, and waits for a connection, with
// the socket functions that WasmEdge adds to WASI.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

enum { INET4 = 1, STREAM = 2 };

struct address {
	const uint8_t *bytes;
	uint32_t size;
};

WASI(sock_open) uint32_t sock_open(uint32_t family, uint32_t type, uint32_t *fd);
WASI(sock_bind) uint32_t sock_bind(uint32_t fd, const struct address *address, uint32_t port);
WASI(sock_listen) uint32_t sock_listen(uint32_t fd, uint32_t backlog);
WASI(sock_accept) uint32_t sock_accept(uint32_t fd, uint32_t flags, uint32_t *connection);

static void check(const char *what, uint32_t err)
{
	if (err) {
		fprintf(stderr, "%s: error %u\n", what, err);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	const uint8_t any[4] = {0};
	const struct address address = {any, sizeof(any)};
	uint32_t fd, connection;

	if (argc != 2)
		return 2;
	check("sock_open", sock_open(INET4, STREAM, &fd));
	check("sock_bind", sock_bind(fd, &address, atoi(argv[1])));
	check("sock_listen", sock_listen(fd, 1));
	puts("listening");
	fflush(stdout);
	check("sock_accept", sock_accept(fd, 0, &connection));
	return 0;
}
