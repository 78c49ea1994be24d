// SPDX-License-Identifier: Apache-2.0
// Compression: per round 32 KiB of generated text, through LZ77 with chains of hashes
// and a canonical Huffman code, and back.
#include "speed.h"

enum {
	INPUT = 32 << 10,
	OUTPUT = 2 * INPUT,
	HASHES = 1 << 12,
	CHAIN = 32,
	MIN_MATCH = 4,
	MAX_MATCH = MIN_MATCH + 255,
	SYMBOLS = 256,
	MAX_BITS = 15,
};

static uint8_t input[INPUT], tokens[OUTPUT], packed[OUTPUT], unpacked[OUTPUT], output[INPUT];
static int head[HASHES], previous[INPUT];

static uint32_t hash(const uint8_t *p)
{
	uint32_t v =
		(uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	return v * 2654435761u >> 20;
}

static void remember(int at)
{
	uint32_t h = hash(input + at);
	previous[at] = head[h];
	head[h] = at;
}

// longest returns the length of the longest earlier match for what is at a place.
static int longest(int at, int *distance)
{
	int best = 0, limit = INPUT - at < MAX_MATCH ? INPUT - at : MAX_MATCH;
	int from = head[hash(input + at)];
	for (int tries = CHAIN; from >= 0 && tries > 0; tries--, from = previous[from]) {
		int n = 0;
		if (best > 0 && input[from + best] != input[at + best])
			continue;
		while (n < limit && input[from + n] == input[at + n])
			n++;
		if (n > best) {
			best = n;
			*distance = at - from;
			if (n == limit)
				break;
		}
	}
	return best;
}

// encode writes tokens: a byte of eight flags, then for each a literal, or the length
// and the distance of a match.
static int encode(void)
{
	int n = 0, flags = 0, bit = 8;
	memset(head, -1, sizeof(head));
	for (int at = 0; at < INPUT;) {
		int distance = 0, length = 0;
		if (bit == 8) {
			flags = n++;
			tokens[flags] = 0;
			bit = 0;
		}
		if (at + MIN_MATCH <= INPUT)
			length = longest(at, &distance);
		if (length >= MIN_MATCH) {
			tokens[flags] |= (uint8_t)(1 << bit);
			tokens[n++] = (uint8_t)(length - MIN_MATCH);
			tokens[n++] = (uint8_t)distance;
			tokens[n++] = (uint8_t)(distance >> 8);
		} else {
			length = 1;
			tokens[n++] = input[at];
		}
		bit++;
		for (; length > 0; length--, at++)
			if (at + MIN_MATCH <= INPUT)
				remember(at);
	}
	return n;
}

static int decode(const uint8_t *p, int size)
{
	int n = 0;
	for (const uint8_t *end = p + size; p < end;) {
		uint32_t flags = *p++;
		for (int bit = 0; bit < 8 && p < end; bit++) {
			if ((flags >> bit & 1) == 0) {
				output[n++] = *p++;
				continue;
			}
			int length = p[0] + MIN_MATCH, distance = p[1] | p[2] << 8;
			p += 3;
			for (; length > 0; length--, n++)
				output[n] = output[n - distance];
		}
	}
	return n;
}

// code_lengths finds the length of each symbol's code by Huffman's method. Too long
// ones become rarer than they are not: the counts are flattened and it begins again.
static void code_lengths(uint32_t *count, uint8_t *bits)
{
	for (;;) {
		uint32_t weight[2 * SYMBOLS];
		int parent[2 * SYMBOLS], total = SYMBOLS, longest_code = 0;
		for (int i = 0; i < SYMBOLS; i++) {
			weight[i] = count[i];
			parent[i] = -1;
		}
		for (;;) {
			int a = -1, b = -1; // the two lightest without a parent
			for (int i = 0; i < total; i++) {
				if (parent[i] >= 0 || weight[i] == 0)
					continue;
				if (a < 0 || weight[i] < weight[a]) {
					b = a;
					a = i;
				} else if (b < 0 || weight[i] < weight[b]) {
					b = i;
				}
			}
			if (b < 0)
				break;
			weight[total] = weight[a] + weight[b];
			parent[total] = -1;
			parent[a] = parent[b] = total++;
		}
		for (int i = 0; i < SYMBOLS; i++) {
			int length = 0;
			for (int j = i; parent[j] >= 0; j = parent[j])
				length++;
			bits[i] = (uint8_t)length;
			if (length > longest_code)
				longest_code = length;
		}
		if (longest_code <= MAX_BITS)
			return;
		for (int i = 0; i < SYMBOLS; i++)
			count[i] = count[i] == 0 ? 0 : count[i] / 2 + 1;
	}
}

struct code {
	uint8_t bits[SYMBOLS];
	uint16_t first[MAX_BITS + 2], index[MAX_BITS + 2]; // by length
	uint16_t code[SYMBOLS];
	uint8_t symbol[SYMBOLS]; // in the order of codes
};

static void assign(struct code *c)
{
	uint16_t next = 0, at = 0;
	for (int length = 1; length <= MAX_BITS; length++) {
		c->first[length] = next;
		c->index[length] = at;
		for (int i = 0; i < SYMBOLS; i++) {
			if (c->bits[i] == length) {
				c->code[i] = next++;
				c->symbol[at++] = (uint8_t)i;
			}
		}
		c->index[length + 1] = at;
		next = (uint16_t)(next << 1);
	}
}

static int pack(const struct code *c, int size)
{
	uint64_t buffer = 0;
	int held = 0, n = 0;
	for (int i = 0; i < size; i++) {
		buffer = buffer << c->bits[tokens[i]] | c->code[tokens[i]];
		held += c->bits[tokens[i]];
		for (; held >= 8; held -= 8)
			packed[n++] = (uint8_t)(buffer >> (held - 8));
	}
	packed[n++] = (uint8_t)(buffer << (8 - held));
	return n;
}

static void unpack(const struct code *c, int size)
{
	const uint8_t *p = packed;
	uint32_t byte = 0;
	int left = 0;
	for (int n = 0; n < size; n++) {
		uint32_t code = 0;
		for (int length = 1;; length++) {
			if (left == 0) {
				byte = *p++;
				left = 8;
			}
			code = code << 1 | (byte >> --left & 1);
			uint32_t offset = code - c->first[length];
			uint32_t count = (uint32_t)(c->index[length + 1] - c->index[length]);
			if (code >= c->first[length] && offset < count) {
				unpacked[n] = c->symbol[c->index[length] + offset];
				break;
			}
		}
	}
}

// generate makes text of words that come again, some more often than others.
static void generate(uint64_t *state)
{
	static char words[256][10];
	for (int i = 0; i < 256; i++) {
		int length = 3 + (int)(rnd(state) % 7);
		for (int j = 0; j < length; j++)
			words[i][j] = (char)('a' + (rnd(state) % 26) * (rnd(state) % 26) / 26);
		words[i][length] = 0;
	}
	for (int n = 0; n < INPUT;) {
		const char *word = words[(rnd(state) % 256) * (rnd(state) % 256) / 256];
		for (; *word != 0 && n < INPUT; word++)
			input[n++] = (uint8_t)*word;
		if (n < INPUT)
			input[n++] = rnd(state) % 12 == 0 ? '\n' : ' ';
	}
}

static uint64_t work(uint32_t rounds)
{
	static struct code code;
	uint64_t sum = 0, state = 1;
	for (uint32_t round = 0; round < rounds; round++) {
		uint32_t count[SYMBOLS] = {0};
		generate(&state);
		int size = encode();
		for (int i = 0; i < size; i++)
			count[tokens[i]]++;
		code_lengths(count, code.bits);
		assign(&code);
		int packed_size = pack(&code, size);
		unpack(&code, size);
		if (decode(unpacked, size) != INPUT || memcmp(input, output, INPUT) != 0)
			abort();
		sum = mix(sum, (uint64_t)packed_size);
		for (int i = 0; i < packed_size; i++)
			sum = mix(sum, packed[i]);
	}
	return sum;
}
