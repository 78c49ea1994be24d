// SPDX-License-Identifier: Apache-2.0
// Recursion: Fibonacci numbers, Ackermann's function and queens on a board, each the
// plain way, per round.
#include "speed.h"

static uint32_t fibonacci(uint32_t n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint32_t ackermann(uint32_t m, uint32_t n)
{
	if (m == 0)
		return n + 1;
	if (n == 0)
		return ackermann(m - 1, 1);
	return ackermann(m - 1, ackermann(m, n - 1));
}

// queens counts the ways to put one on each row that is left. The bits of the masks
// are columns that those above attack: straight, and along both diagonals.
static uint32_t queens(int rows, uint32_t columns, uint32_t left, uint32_t right, uint32_t all)
{
	if (rows == 0)
		return 1;
	uint32_t count = 0;
	for (uint32_t open = all & ~(columns | left | right); open != 0; open &= open - 1) {
		uint32_t queen = open & -open;
		count += queens(
			rows - 1, columns | queen, (left | queen) << 1, (right | queen) >> 1, all);
	}
	return count;
}

static uint64_t work(uint32_t rounds)
{
	uint64_t sum = 0;
	for (uint32_t round = 0; round < rounds; round++) {
		sum = mix(sum, fibonacci(24 + round % 2));
		sum = mix(sum, ackermann(2, 150 + round % 2));
		sum = mix(sum, queens(8, 0, round % 256, 0, (1 << 8) - 1));
	}
	return sum;
}
