// SPDX-License-Identifier: Apache-2.0
// Is on a pod's network, with the socket functions that WasmEdge adds to WASI:
//	peer answer PORT      returns what one client sends, after "guest: "
//	peer ask PORT TEXT    is a client of 127.0.0.1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../hostile/guests/sock.h"

static void check(const char *what, uint32_t err)
{
	if (err) {
		fprintf(stderr, "%s: error %u\n", what, err);
		exit(1);
	}
}

static void sendText(uint32_t fd, char *text, uint32_t size)
{
	const buffer b = {text, size};
	uint32_t n;

	check("sock_send", sock_send(fd, &b, 1, 0, &n));
}

static uint32_t receive(uint32_t fd, char *text, uint32_t size)
{
	const buffer b = {text, size};
	uint32_t n, flags;

	check("sock_recv", sock_recv(fd, &b, 1, 0, &n, &flags));
	return n;
}

int main(int argc, char **argv)
{
	static const uint8_t any[4], loopback[4] = {127, 0, 0, 1};
	const address all = {any, sizeof(any)}, here = {loopback, sizeof(loopback)};
	char text[100] = "guest: ";
	uint32_t fd, client;

	if (argc < 3)
		return 2;
	check("sock_open", sock_open(INET4, STREAM, &fd));
	if (!strcmp(argv[1], "ask")) {
		check("sock_connect", sock_connect(fd, &here, atoi(argv[2])));
		sendText(fd, argv[3], strlen(argv[3]));
		for (uint32_t n; (n = receive(fd, text, sizeof(text))) > 0;)
			fwrite(text, 1, n, stdout);
		return 0;
	}
	check("sock_bind", sock_bind(fd, &all, atoi(argv[2])));
	check("sock_listen", sock_listen(fd, 1));
	puts("listening");
	fflush(stdout);
	check("sock_accept", sock_accept(fd, 0, &client));
	sendText(client, text, 7 + receive(client, text + 7, sizeof(text) - 7));
	return 0;
}
