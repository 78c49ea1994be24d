// SPDX-License-Identifier: Apache-2.0

// What sock_getaddrinfo takes and fills.
#pragma once

#include "sock.h"

#include <string.h>

enum { FAULT = 21, AI_AGAIN = 78, AI_MEMORY = 82, AI_NONAME = 84 };

struct sockaddr_out {
	uint32_t family, size;
	uint32_t data;
};

struct addrinfo {
	uint16_t flags;
	uint8_t family, socktype;
	uint32_t protocol, addrlen;
	uint32_t addr, canonname, canonname_size, next;
};

static inline uint32_t at(const void *p)
{
	return (uint32_t)(uintptr_t)p;
}

// look_up has room for one address.
static inline uint32_t look_up(const char *node)
{
	static const struct addrinfo hints;
	static uint8_t data[26];
	static struct sockaddr_out sockaddr;
	static struct addrinfo info;
	uint32_t list = at(&info), n;
	sockaddr = (struct sockaddr_out){.size = sizeof(data), .data = at(data)};
	info = (struct addrinfo){.addr = at(&sockaddr)};
	return sock_getaddrinfo(node, strlen(node), "80", 2, &hints, &list, 1, &n);
}
