// SPDX-License-Identifier: Apache-2.0
// Hashing: SHA-256 (FIPS 180-4) of a message of 64 KiB per round.
#include "speed.h"

enum { MESSAGE = 64 << 10, BLOCK = 64 };

// The first 32 bits of the fractions of the first primes' cube roots.
static const uint32_t k[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The same of their square roots.
static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
	0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static uint8_t message[MESSAGE];

struct sha256 {
	uint32_t h[8];
	uint64_t length; // bytes
	uint8_t block[BLOCK];
};

static uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void compress(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64];
	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];
		w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
		       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
	uint32_t s[8];
	memcpy(s, h, sizeof(s));
	for (int i = 0; i < 64; i++) {
		uint32_t e = s[4], a = s[0];
		uint32_t t1 = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
			      ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
		uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
			      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
		s[7] = s[6], s[6] = s[5], s[5] = e, s[4] = s[3] + t1;
		s[3] = s[2], s[2] = s[1], s[1] = a, s[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		h[i] += s[i];
}

static void update(struct sha256 *s, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t at = s->length % BLOCK, take = BLOCK - at < n ? BLOCK - at : n;
		memcpy(s->block + at, p, take);
		s->length += take, p += take, n -= take;
		if (s->length % BLOCK == 0)
			compress(s->h, s->block);
	}
}

static void finish(struct sha256 *s)
{
	uint64_t bits = s->length * 8;
	uint8_t byte = 0x80, length[8];
	update(s, &byte, 1);
	for (byte = 0; s->length % BLOCK != BLOCK - 8;)
		update(s, &byte, 1);
	for (int i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	update(s, length, sizeof(length));
}

static uint64_t work(uint32_t rounds)
{
	uint64_t sum = 0, state = 1;
	for (size_t i = 0; i < MESSAGE; i++)
		message[i] = (uint8_t)rnd(&state);
	for (uint32_t round = 0; round < rounds; round++) {
		struct sha256 s = {.length = 0};
		memcpy(s.h, first, sizeof(first));
		message[0] = (uint8_t)round;
		update(&s, message, MESSAGE);
		finish(&s);
		for (int i = 0; i < 8; i++)
			sum = mix(sum, s.h[i]);
	}
	return sum;
}
