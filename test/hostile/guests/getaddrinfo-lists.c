// SPDX-License-Identifier: Apache-2.0
// Looks up names with lists for the addresses that make no sense: outside of its memory, at
// its end, in circles, upon each other, too small, without end.
//
// exit: 0
#include "addrinfo.h"
#include "check.h"

static const struct addrinfo hints;
static uint8_t data[26];
static struct sockaddr_out sockaddr;
static struct addrinfo info;
static uint32_t n;

// ask gives the list, and says how long it is.
static uint32_t ask(uint32_t list, uint32_t max)
{
	return sock_getaddrinfo("localhost", 9, "80", 2, &hints, &list, max, &n);
}

static void reset(void)
{
	sockaddr = (struct sockaddr_out){.size = sizeof(data), .data = at(data)};
	info = (struct addrinfo){.addr = at(&sockaddr), .next = at(&info)};
}

int main(void)
{
	static const uint32_t wild[] = {0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff};
	const uint32_t end = __builtin_wasm_memory_size(0) * 65536;
	uint32_t list = at(&info);

	for (unsigned i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
		reset();
		expect(FAULT, ask(wild[i], 1));
		info.addr = wild[i];
		expect(FAULT, ask(at(&info), 1));
		reset();
		sockaddr.data = wild[i];
		expect(FAULT, ask(at(&info), 1));
		reset();
		info.next = wild[i];
		expect(0, ask(at(&info), 1));
		reset();
		info.next = wild[i];
		expect(FAULT, ask(at(&info), wild[i]));
		reset();
		expect(FAULT,
			sock_getaddrinfo("localhost", wild[i], "80", 2, &hints, &list, 1, &n));
		expect(FAULT,
			sock_getaddrinfo("localhost", 9, "80", wild[i], &hints, &list, 1, &n));
		expect(FAULT,
			sock_getaddrinfo("localhost", 9, "80", 2, (void *)wild[i], &list, 1, &n));
		expect(FAULT,
			sock_getaddrinfo("localhost", 9, "80", 2, &hints, (void *)wild[i], 1, &n));
		expect(FAULT, sock_getaddrinfo(
				      "localhost", 9, "80", 2, &hints, &list, 1, (void *)wild[i]));
		info.canonname = wild[i];
		info.canonname_size = 0xffffffff;
		expect(0, ask(at(&info), 1)); // no name was asked for
	}
	reset();
	expect(FAULT, ask(end - sizeof(info) + 1, 1));
	expect(AI_MEMORY, ask(at(&info), 0));
	// In circles, and the list upon its own address: what is there last counts.
	reset();
	expect(0, ask(at(&info), 0xffffffff));
	reset();
	info.addr = at(&info);
	ask(at(&info), 0xffffffff);
	reset();
	sockaddr.data = at(&info);
	ask(at(&info), 0xffffffff);
	reset();
	sockaddr.size = 13;
	expect(AI_MEMORY, ask(at(&info), 1));
	// A name without an end, as long as the memory.
	reset();
	memset(data, 'a', sizeof(data));
	expect(AI_NONAME,
		sock_getaddrinfo((void *)1024, end - 1024, "80", 2, &hints, &list, 1, &n));
	return done();
}
