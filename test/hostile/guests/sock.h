// SPDX-License-Identifier: Apache-2.0

// The socket functions that WasmEdge 0.14 adds to WASI (lib/host/wasi/wasimodule.cpp),
// as far as <wasi/api.h> does not have them.
#pragma once

#include <stdint.h>

#define SOCK(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

enum { INET4 = 1, INET6 = 2, LOCAL = 3 };
enum { DATAGRAM = 1, STREAM = 2 };

struct address {
	const void *bytes;
	uint32_t size;
};

struct buffer {
	void *bytes;
	uint32_t size;
};

typedef struct address address;
typedef struct buffer buffer;

SOCK(sock_open) uint32_t sock_open(uint32_t family, uint32_t type, uint32_t *fd);
SOCK(sock_bind) uint32_t sock_bind(uint32_t fd, const address *a, uint32_t port);
SOCK(sock_listen) uint32_t sock_listen(uint32_t fd, uint32_t backlog);
SOCK(sock_accept) uint32_t sock_accept(uint32_t fd, uint32_t flags, uint32_t *connection);
SOCK(sock_connect) uint32_t sock_connect(uint32_t fd, const address *a, uint32_t port);
SOCK(sock_recv)
uint32_t sock_recv(uint32_t fd, const buffer *list, uint32_t n, uint32_t flags, uint32_t *size,
	uint32_t *out_flags);
SOCK(sock_recv_from)
uint32_t sock_recv_from(uint32_t fd, const buffer *list, uint32_t n, buffer *a, uint32_t flags,
	uint32_t *size, uint32_t *out_flags);
SOCK(sock_recv_from_v2)
uint32_t sock_recv_from_v2(uint32_t fd, const buffer *list, uint32_t n, buffer *a, uint32_t flags,
	uint32_t *port, uint32_t *size, uint32_t *out_flags);
SOCK(sock_send)
uint32_t sock_send(uint32_t fd, const buffer *list, uint32_t n, uint32_t flags, uint32_t *size);
SOCK(sock_send_to)
uint32_t sock_send_to(uint32_t fd, const buffer *list, uint32_t n, const address *a, uint32_t port,
	uint32_t flags, uint32_t *size);
SOCK(sock_shutdown) uint32_t sock_shutdown(uint32_t fd, uint32_t how);
SOCK(sock_getsockopt)
uint32_t sock_getsockopt(uint32_t fd, uint32_t level, uint32_t name, void *value, uint32_t *size);
SOCK(sock_setsockopt)
uint32_t sock_setsockopt(
	uint32_t fd, uint32_t level, uint32_t name, const void *value, uint32_t size);
SOCK(sock_getlocaladdr)
uint32_t sock_getlocaladdr(uint32_t fd, buffer *a, uint32_t *type, uint32_t *port);
SOCK(sock_getlocaladdr_v2)
uint32_t sock_getlocaladdr_v2(uint32_t fd, buffer *a, uint32_t *port);
SOCK(sock_getpeeraddr)
uint32_t sock_getpeeraddr(uint32_t fd, buffer *a, uint32_t *type, uint32_t *port);
SOCK(sock_getpeeraddr_v2)
uint32_t sock_getpeeraddr_v2(uint32_t fd, buffer *a, uint32_t *port);
SOCK(sock_getaddrinfo)
uint32_t sock_getaddrinfo(const void *node, uint32_t node_size, const void *service,
	uint32_t service_size, const void *hints, void *result, uint32_t max, uint32_t *n);
SOCK(sock_open_v2) uint32_t sock_open_v2(uint32_t family, uint32_t type, uint32_t *fd);
SOCK(sock_bind_v2) uint32_t sock_bind_v2(uint32_t fd, const address *a, uint32_t port);
SOCK(sock_listen_v2) uint32_t sock_listen_v2(uint32_t fd, uint32_t backlog);
SOCK(sock_accept_v2)
uint32_t sock_accept_v2(uint32_t fd, uint32_t flags, uint32_t *connection);
SOCK(sock_connect_v2) uint32_t sock_connect_v2(uint32_t fd, const address *a, uint32_t port);
SOCK(sock_recv_v2)
uint32_t sock_recv_v2(uint32_t fd, const buffer *list, uint32_t n, uint32_t flags, uint32_t *size,
	uint32_t *out_flags);
SOCK(sock_send_v2)
uint32_t sock_send_v2(uint32_t fd, const buffer *list, uint32_t n, uint32_t flags, uint32_t *size);
SOCK(sock_send_to_v2)
uint32_t sock_send_to_v2(uint32_t fd, const buffer *list, uint32_t n, const address *a,
	uint32_t port, uint32_t flags, uint32_t *size);
