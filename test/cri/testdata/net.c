// SPDX-License-Identifier: Apache-2.0
// Both families of addresses, which libraries of other languages do not know:
//
//	net serve PORT           returns what comes on connections, one after the other
//	net lookup NAME...       writes the addresses of each name, or the error
//	net tcp NAME PORT TEXT   sends the text, then no more, and writes what comes
//	net udp NAME PORT TEXT   sends the text, and writes the datagram that comes
#include "../../hostile/guests/addrinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX = 32, WRITE = 2 };

struct host {
	uint32_t family, size;
	const uint8_t *bytes;
};

// find returns an error, or n addresses.
static uint32_t find(const char *name, uint8_t type, struct host *hosts, uint32_t *n)
{
	static uint8_t data[MAX][26];
	static struct sockaddr_out addresses[MAX];
	static struct addrinfo infos[MAX];
	const struct addrinfo hints = {.socktype = type};
	uint32_t list = at(infos);

	for (int i = 0; i < MAX; i++) {
		addresses[i] = (struct sockaddr_out){.size = sizeof(data[i]), .data = at(data[i])};
		infos[i] = (struct addrinfo){
			.addr = at(&addresses[i]), .next = i + 1 < MAX ? at(&infos[i + 1]) : 0};
	}
	uint32_t err = sock_getaddrinfo(name, strlen(name), "", 0, &hints, &list, MAX, n);
	for (uint32_t i = 0; err == 0 && i < *n; i++) {
		// As in sockaddr_in and sockaddr_in6, without the family.
		hosts[i].family = addresses[i].family;
		hosts[i].size = hosts[i].family == INET4 ? 4 : 16;
		hosts[i].bytes = data[i] + (hosts[i].family == INET4 ? 2 : 6);
	}
	return err;
}

static void print(const struct host *h)
{
	for (uint32_t i = 0; i < h->size; i++)
		if (h->family == INET4)
			printf(i ? ".%u" : " %u", h->bytes[i]);
		else
			printf(i && i % 2 == 0 ? ":%02x" : i ? "%02x" : " %02x", h->bytes[i]);
}

static int lookup(const char *name)
{
	struct host hosts[MAX];
	uint32_t n = 0, err = find(name, STREAM, hosts, &n);

	printf("%s", name);
	if (err)
		printf(" error %u", err);
	for (uint32_t i = 0; i < n; i++)
		print(&hosts[i]);
	puts("");
	fflush(stdout);
	return err != 0;
}

static void check(const char *what, uint32_t err)
{
	if (err) {
		printf("%s: error %u\n", what, err);
		exit(1);
	}
}

static int talk(uint32_t type, const char *name, uint32_t port, const char *text)
{
	struct host hosts[MAX];
	char reply[4096];
	const buffer out = {(void *)text, strlen(text)}, in = {reply, sizeof(reply)};
	uint32_t fd, n, flags;

	check("sock_getaddrinfo", find(name, type, hosts, &n));
	const address to = {hosts[0].bytes, hosts[0].size};
	check("sock_open", sock_open(hosts[0].family, type, &fd));
	check("sock_connect", sock_connect(fd, &to, port));
	check("sock_send", sock_send(fd, &out, 1, 0, &n));
	if (type == STREAM)
		check("sock_shutdown", sock_shutdown(fd, WRITE));
	do {
		check("sock_recv", sock_recv(fd, &in, 1, 0, &n, &flags));
		fwrite(reply, 1, n, stdout);
	} while (type == STREAM && n > 0);
	return 0;
}

// send_all waits while the other side does not take it.
static uint32_t send_all(uint32_t fd, char *bytes, uint32_t size)
{
	for (uint32_t n; size > 0; bytes += n, size -= n) {
		const buffer out = {bytes, size};
		uint32_t err = sock_send(fd, &out, 1, 0, &n);
		if (err)
			return err;
	}
	return 0;
}

// serve listens on all addresses of both families. Connections that fail are their
// clients' business.
static int serve(uint32_t port)
{
	static const uint8_t any[16];
	static char bytes[4096];
	const address a = {any, sizeof(any)};
	const buffer in = {bytes, sizeof(bytes)};
	uint32_t fd, connection, n, flags;

	check("sock_open", sock_open(INET6, STREAM, &fd));
	check("sock_bind", sock_bind(fd, &a, port));
	check("sock_listen", sock_listen(fd, 64));
	puts("listening");
	fflush(stdout);
	for (;;) {
		check("sock_accept", sock_accept(fd, 0, &connection));
		while (sock_recv(connection, &in, 1, 0, &n, &flags) == 0 && n > 0)
			if (send_all(connection, bytes, n))
				break;
		close((int)connection);
	}
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve((uint32_t)atoi(argv[2]));
	if (argc == 5 && strcmp(argv[1], "tcp") == 0)
		return talk(STREAM, argv[2], (uint32_t)atoi(argv[3]), argv[4]);
	if (argc == 5 && strcmp(argv[1], "udp") == 0)
		return talk(DATAGRAM, argv[2], (uint32_t)atoi(argv[3]), argv[4]);
	if (argc < 3 || strcmp(argv[1], "lookup") != 0)
		return 2;
	for (int i = 2; i < argc; i++)
		failed |= lookup(argv[i]);
	return failed;
}
