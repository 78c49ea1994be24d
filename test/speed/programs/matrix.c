// SPDX-License-Identifier: Apache-2.0
// Matrices: one product of two of 192 by 192 doubles per round.
#include "speed.h"

enum { N = 192 };

static double a[N][N], b[N][N], c[N][N];

static void multiply(void)
{
	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++)
			c[i][j] = 0;
		for (int k = 0; k < N; k++)
			for (int j = 0; j < N; j++)
				c[i][j] += a[i][k] * b[k][j];
	}
}

static uint64_t work(uint32_t rounds)
{
	uint64_t sum = 0, state = 1;
	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++) {
			a[i][j] = rnd(&state) / 4294967296.0;
			b[i][j] = rnd(&state) / 4294967296.0;
		}
	}
	for (uint32_t round = 0; round < rounds; round++) {
		multiply();
		for (int i = 0; i < N; i++) {
			uint64_t bits;
			memcpy(&bits, &c[i][(i + round) % N], sizeof(bits));
			sum = mix(sum, bits);
			a[i][round % N] = c[i][i] / N; // the next product is another one
		}
	}
	return sum;
}
