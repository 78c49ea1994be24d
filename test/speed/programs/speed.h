/* SPDX-License-Identifier: Apache-2.0 */

// What all programs of this folder share. Each defines work, which does the same
// amount of it for each round, and calls nothing of libc but memcpy and the like: it
// is compiled code that is measured, not two libraries.

#ifndef SPEED_H
#define SPEED_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t work(uint32_t rounds);

// mix adds a value to a checksum (FNV-1a, eight bytes at a time).
static inline uint64_t mix(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * 0x100000001b3;
}

// rnd is a pseudo-random number, the same everywhere (xorshift64*).
static inline uint32_t rnd(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * 0x2545f4914f6cdd1d) >> 32);
}

// nanoseconds is the processor time of this process so far. What others run on this
// machine does not count.
static inline uint64_t nanoseconds(void)
{
	struct timespec t;
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
		abort();
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

// Prints the checksum, and the nanoseconds of processor time that the work took.
int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: program ROUNDS\n");
		return 2;
	}
	uint32_t rounds = (uint32_t)strtoul(argv[1], NULL, 10);
	uint64_t begin = nanoseconds();
	uint64_t sum = work(rounds);
	uint64_t took = nanoseconds() - begin;
	printf("%016" PRIx64 " %" PRIu64 "\n", sum, took);
	return 0;
}

#endif
