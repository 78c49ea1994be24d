// SPDX-License-Identifier: Apache-2.0

// Looks up NODE and SERVICE, which may be empty, with the hints FLAGS FAMILY SOCKTYPE
// PROTOCOL that follow. Writes a line for each address, FAMILY SOCKTYPE PROTOCOL PORT
// ADDRESS in hexadecimal digits, and the canonical name if there is one. Exits with the
// error.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 8

struct addrinfo {
	uint16_t flags;
	uint8_t family, socktype;
	uint32_t protocol, addrlen;
	struct sockaddr *addr;
	char *canonname;
	uint32_t canonname_len;
	struct addrinfo *next;
};
struct sockaddr {
	uint32_t family, size;
	uint8_t *data;
};

__attribute__((import_module("wasi_snapshot_preview1"), import_name("sock_getaddrinfo"))) //
int32_t
sock_getaddrinfo(const char *node, uint32_t node_size, const char *service, uint32_t service_size,
	const struct addrinfo *hints, struct addrinfo **list, uint32_t max, uint32_t *n);

static void print(const struct addrinfo *a)
{
	const uint8_t *data = a->addr->data;
	printf("%d %d %d %d ", a->family, a->socktype, a->protocol, data[0] << 8 | data[1]);
	for (int i = 0; i < (a->family == 1 ? 4 : 16); i++)
		printf("%02x", data[(a->family == 1 ? 2 : 6) + i]);
	printf("\n");
	if (a->canonname_len > 0)
		printf("canonical %s\n", a->canonname);
}

int main(int argc, char **argv)
{
	static struct addrinfo list[MOST];
	static struct sockaddr addr[MOST];
	static uint8_t data[MOST][26];
	static char names[MOST][30];
	struct addrinfo hints = {.flags = 0}, *first = list;
	uint32_t n = 0;
	if (argc < 3)
		return 255;
	hints.flags = argc > 3 ? atoi(argv[3]) : 0;
	hints.family = argc > 4 ? atoi(argv[4]) : 0;
	hints.socktype = argc > 5 ? atoi(argv[5]) : 0;
	hints.protocol = argc > 6 ? atoi(argv[6]) : 0;
	for (int i = 0; i < MOST; i++) {
		addr[i] = (struct sockaddr){0, sizeof(data[i]), data[i]};
		list[i].addr = &addr[i];
		list[i].canonname = names[i];
		list[i].canonname_len = sizeof(names[i]);
		list[i].next = i + 1 < MOST ? &list[i + 1] : NULL;
	}
	int32_t err = sock_getaddrinfo(
		argv[1], strlen(argv[1]), argv[2], strlen(argv[2]), &hints, &first, MOST, &n);
	for (uint32_t i = 0; err == 0 && i < n; i++)
		print(&list[i]);
	return err;
}
