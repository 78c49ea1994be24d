// SPDX-License-Identifier: Apache-2.0

// sock_getaddrinfo. WasmEdge's trusts the pointers and lengths that a guest gives it,
// and libc's getaddrinfo behind it loads what files of the guest's root name. Here the
// guest's thread reads its memory and its two files, asks, and waits; the answer comes
// from outside (package resolve), as plain data.
//
//                guest              taker                 taker              answer
//   nothing ----------------> asked -----> being copied --------> taken -----------+
//      ^                        |               ^                   |              v
//      |   killed, or too late  |               |                   |        being copied
//      +------------------------+---------------|-------------------+              |
//      +---------------------------------------- answered <------------------------+
//
// Who copies does not wait for the guest, which may be out of processor time: the
// guest waits for who copies. Each question has a number, so that a late answer finds
// that nobody waits for it.
//
// What asks with the daemon's rights must not do more than the guest may: its thread
// opens the files itself, and a socket, to see whether it could.

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// The resolver gives up earlier.
#define LONGEST_WAIT 60 // seconds

// What is read of a file. The rest of a larger one does not count.
#define MAX_RESOLV_CONF ((size_t)8 << 10)
#define MAX_HOSTS ((size_t)64 << 10)

enum { // low bits of struct jail's lookup; the others are the question's number
	NOTHING,
	ASKED,
	COPYING,
	TAKEN,
	ANSWERED,
	PHASE_BITS = 7,
	NEXT_NUMBER = 8,
};

enum { // errno of WASI, and of WasmEdge's extension (thirdparty/wasi/api.hpp)
	WASI_SUCCESS = 0,
	WASI_ACCES = 2,
	WASI_FAULT = 21,
	WASI_MFILE = 33,
	WASI_AI_AGAIN = 78,
	WASI_AI_MEMORY = 82,
	WASI_AI_NONAME = 84,
};

struct wasi_addrinfo {
	uint16_t flags;
	uint8_t family, socktype;
	uint32_t protocol;
	uint32_t addrlen;
	uint32_t addr; // struct wasi_sockaddr
	uint32_t canonname, canonname_len;
	uint32_t next;
};

struct wasi_sockaddr {
	uint32_t family;
	uint32_t data_len;
	uint32_t data;
};

_Static_assert(sizeof(struct wasi_addrinfo) == 28, "layout of the ABI");
_Static_assert(sizeof(struct wasi_sockaddr) == 12, "layout of the ABI");

// at returns where a guest's bytes are, or NULL if they are not all in its memory.
static void *at(const WasmEdge_CallingFrameContext *frame, uint32_t address, uint32_t size)
{
	WasmEdge_MemoryInstanceContext *memory = WasmEdge_CallingFrameGetMemoryInstance(frame, 0);
	return memory != NULL ? WasmEdge_MemoryInstanceGetPointer(memory, address, size) : NULL;
}

static bool load(const WasmEdge_CallingFrameContext *frame, uint32_t from, void *to, uint32_t size)
{
	const void *bytes = at(frame, from, size);
	if (bytes != NULL)
		memcpy(to, bytes, size);
	return bytes != NULL;
}

static bool store(
	const WasmEdge_CallingFrameContext *frame, uint32_t to, const void *from, uint32_t size)
{
	void *bytes = at(frame, to, size);
	if (bytes != NULL)
		memcpy(bytes, from, size);
	return bytes != NULL;
}

// load_string reads a string that may end in NUL, or be empty.
static int load_string(const WasmEdge_CallingFrameContext *frame, uint32_t from, uint32_t len,
	char *to, size_t size)
{
	if (len == 0)
		return WASI_SUCCESS;
	const char *bytes = at(frame, from, len);
	if (bytes == NULL)
		return WASI_FAULT;
	size_t n = strnlen(bytes, len < size ? len : size);
	if (n >= size)
		return WASI_AI_NONAME;
	memcpy(to, bytes, n);
	return WASI_SUCCESS;
}

static bool reserve(struct jail *j, size_t size, struct jail_bytes *out)
{
	if (!jail_charge(j, size))
		return false;
	out->capacity = size;
	out->bytes = malloc(size);
	return out->bytes != NULL;
}

static void release(struct jail *j, struct jail_bytes *b)
{
	free(b->bytes);
	jail_uncharge(j, b->capacity);
}

// read_file reads a regular file as the guest sees it, of which the caller releases
// what was read. One that cannot be read is as good as empty (resolver(5)). false:
// there is no memory.
static bool read_file(struct jail *j, const char *path, size_t most, struct jail_bytes *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0)
		return true;
	size_t size = 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		size = (uint64_t)st.st_size < most ? (size_t)st.st_size : most;
	bool ok = size == 0 || reserve(j, size, out);
	while (ok && out->size < size && !j->killed) {
		ssize_t n = read(fd, out->bytes + out->size, size - out->size);
		if (n <= 0)
			break;
		out->size += (size_t)n;
	}
	close(fd);
	return ok;
}

// may_ask: a seccomp profile, AppArmor, or the limit of files may keep the guest from
// making a socket.
static int may_ask(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? WASI_MFILE : WASI_ACCES;
	close(fd);
	return WASI_SUCCESS;
}

static bool change(struct jail *j, uint32_t number, uint32_t from, uint32_t to)
{
	uint32_t expected = number + from;
	return atomic_compare_exchange_strong(&j->lookup, &expected, number + to);
}

// give_up says whether nobody can answer any more.
static bool give_up(struct jail *j, uint32_t number)
{
	return change(j, number, ASKED, NOTHING) || change(j, number, TAKEN, NOTHING);
}

static bool is_late(const struct timespec *end)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end->tv_sec ||
	       (now.tv_sec == end->tv_sec && now.tv_nsec >= end->tv_nsec);
}

// wait_for_answer: jail_kill counts as a change, and so does an answer. A pause is
// none of its business: the guest is held when it comes back from here.
static bool wait_for_answer(struct jail *j, uint32_t number)
{
	struct timespec end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += LONGEST_WAIT;
	for (;;) {
		int seen = j->changes;
		if (j->lookup == number + ANSWERED)
			return true;
		if ((j->killed || j->fault || is_late(&end)) && give_up(j, number))
			return false;
		syscall(SYS_futex, &j->changes, FUTEX_WAIT_BITSET_PRIVATE, seen, &end, NULL,
			FUTEX_BITSET_MATCH_ANY);
	}
}

// ask waits for the answer. It returns an errno, and the answer is complete if that is 0.
static int ask(struct jail *j, struct jail_query *query, struct jail_answer *answer)
{
	query->number = (j->lookup & ~(uint32_t)PHASE_BITS) + NEXT_NUMBER;
	j->query = query;
	j->answer = answer;
	j->lookup = query->number + ASKED;
	jail_post(j, JAIL_EV_LOOKUP);
	bool answered = wait_for_answer(j, query->number);
	j->lookup = query->number + NOTHING;
	j->query = NULL;
	j->answer = NULL;
	return answered ? answer->err : WASI_AI_AGAIN;
}

static int look_up(struct jail *j, struct jail_query *query, struct jail_answer *answer)
{
	int err = may_ask();
	if (err != WASI_SUCCESS)
		return err;
	err = WASI_AI_MEMORY;
	if (read_file(j, "/etc/resolv.conf", MAX_RESOLV_CONF, &query->resolv_conf) &&
		read_file(j, "/etc/hosts", MAX_HOSTS, &query->hosts))
		err = ask(j, query, answer);
	release(j, &query->resolv_conf);
	release(j, &query->hosts);
	return err;
}

const struct jail_query *jail_take_query(struct jail *j)
{
	uint32_t number = j->lookup & ~(uint32_t)PHASE_BITS;
	return change(j, number, ASKED, COPYING) ? j->query : NULL;
}

static void hand_back(struct jail *j, uint32_t number, uint32_t phase)
{
	j->lookup = number + phase;
	j->changes++;
	jail_futex_wake(&j->changes);
}

void jail_query_taken(struct jail *j, uint32_t number)
{
	hand_back(j, number, TAKEN);
}

int jail_query_waits(const struct jail *j, uint32_t number)
{
	return j->lookup == number + TAKEN;
}

void jail_answer(struct jail *j, uint32_t number, const struct jail_answer *answer)
{
	if (!change(j, number, TAKEN, COPYING))
		return;
	*j->answer = *answer;
	hand_back(j, number, ANSWERED);
}

enum outcome { STORED, NO_ROOM, NO_MEMORY };

// store_address fills what a guest gave for a socket's address: the bytes of a
// sockaddr_in or sockaddr_in6 that follow its family.
static enum outcome store_address(
	const WasmEdge_CallingFrameContext *frame, const struct jail_address *address, uint32_t to)
{
	struct wasi_sockaddr sockaddr;
	uint8_t data[26] = {(uint8_t)(address->port >> 8), (uint8_t)address->port};
	if (!load(frame, to, &sockaddr, sizeof(sockaddr)))
		return NO_MEMORY;
	uint32_t size = 14;
	if (address->family == JAIL_INET4) {
		memcpy(data + 2, address->bytes, 4);
	} else {
		size = sizeof(data);
		memcpy(data + 6, address->bytes, 16);
		memcpy(data + 22, &address->scope, 4);
	}
	if (sockaddr.data_len < size)
		return NO_ROOM;
	if (!store(frame, sockaddr.data, data, size))
		return NO_MEMORY;
	sockaddr.family = address->family;
	sockaddr.data_len = size;
	return store(frame, to, &sockaddr, sizeof(sockaddr)) ? STORED : NO_MEMORY;
}

// store_entry fills an element of a guest's list. What is in the list is read when it
// is needed: parts of it may lie upon each other.
static enum outcome store_entry(const WasmEdge_CallingFrameContext *frame,
	const struct jail_address *address, const char *canonical, uint32_t to, uint32_t *next)
{
	struct wasi_addrinfo info;
	if (!load(frame, to, &info, sizeof(info)))
		return NO_MEMORY;
	*next = info.next;
	enum outcome outcome = store_address(frame, address, info.addr);
	if (outcome != STORED)
		return outcome;
	uint32_t len = (uint32_t)strlen(canonical);
	if (len >= info.canonname_len)
		len = 0;
	if (len > 0 && !store(frame, info.canonname, canonical, len + 1))
		return NO_MEMORY;
	info.canonname_len = len;
	info.flags = 0;
	info.family = address->family;
	info.socktype = address->socktype;
	info.protocol = address->protocol;
	info.addrlen = address->family == JAIL_INET4 ? 16 : 28;
	return store(frame, to, &info, sizeof(info)) ? STORED : NO_MEMORY;
}

// store_list fills at most max elements. An address for which there is no room in
// the next one is left out.
static int store_list(const WasmEdge_CallingFrameContext *frame, const struct jail_answer *answer,
	uint32_t list, uint32_t max, uint32_t n_out)
{
	uint32_t n = 0, element, next;
	if (!load(frame, list, &element, sizeof(element)))
		return WASI_FAULT;
	for (uint32_t i = 0; i < answer->n && i < JAIL_MAX_ADDRESSES && n < max; i++) {
		const char *canonical = n == 0 ? answer->canonical : "";
		switch (store_entry(frame, &answer->addresses[i], canonical, element, &next)) {
		case NO_MEMORY:
			return WASI_FAULT;
		case STORED:
			n++;
			element = next;
			break;
		case NO_ROOM:
			break;
		}
	}
	if (n == 0)
		return WASI_AI_MEMORY;
	return store(frame, n_out, &n, sizeof(n)) ? WASI_SUCCESS : WASI_FAULT;
}

static int get_addrinfo(const WasmEdge_CallingFrameContext *frame, const uint32_t *args)
{
	struct jail_query query = {.number = 0};
	struct jail_answer answer = {.err = 0};
	struct wasi_addrinfo hints;
	uint32_t list = args[5], max = args[6], n_out = args[7];
	int err = load_string(frame, args[0], args[1], query.node, sizeof(query.node));
	if (err == WASI_SUCCESS)
		err = load_string(frame, args[2], args[3], query.service, sizeof(query.service));
	if (err != WASI_SUCCESS)
		return err;
	if (!load(frame, args[4], &hints, sizeof(hints)) || at(frame, list, 4) == NULL ||
		at(frame, n_out, 4) == NULL)
		return WASI_FAULT;
	query.flags = hints.flags;
	query.family = hints.family;
	query.socktype = hints.socktype;
	query.protocol = (uint8_t)hints.protocol;
	err = look_up(jail_self, &query, &answer);
	// From here on a fault in the guest's memory may end this (take_memory_away in
	// stop.c).
	return err == WASI_SUCCESS ? store_list(frame, &answer, list, max, n_out) : err;
}

WasmEdge_Result jail_getaddrinfo(void *data, const WasmEdge_CallingFrameContext *frame,
	const WasmEdge_Value *in, WasmEdge_Value *out)
{
	(void)data;
	uint32_t args[8];
	for (int i = 0; i < 8; i++)
		args[i] = (uint32_t)WasmEdge_ValueGetI32(in[i]);
	out[0] = WasmEdge_ValueGenI32(get_addrinfo(frame, args));
	return WasmEdge_Result_Success;
}
