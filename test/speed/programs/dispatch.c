// SPDX-License-Identifier: Apache-2.0
// Calls through pointers: per round a tree of 1,023 expressions is evaluated 20 times,
// each by the function that it points to, as methods of objects are called.
#include "speed.h"

enum { LEAVES = 512, NODES = 2 * LEAVES };

struct node {
	uint32_t (*value)(const struct node *n, uint32_t x);
	uint32_t constant;
};

// The children of node i are 2i and 2i+1, its root is node 1.
static struct node nodes[NODES];

static uint32_t left(const struct node *n, uint32_t x)
{
	const struct node *child = &nodes[2 * (n - nodes)];
	return child->value(child, x);
}

static uint32_t right(const struct node *n, uint32_t x)
{
	const struct node *child = &nodes[2 * (n - nodes) + 1];
	return child->value(child, x);
}

static uint32_t constant(const struct node *n, uint32_t x)
{
	(void)x;
	return n->constant;
}

static uint32_t variable(const struct node *n, uint32_t x)
{
	return n->constant ^ x;
}

static uint32_t sum(const struct node *n, uint32_t x)
{
	return left(n, x) + right(n, x);
}

static uint32_t product(const struct node *n, uint32_t x)
{
	return left(n, x) * (right(n, x) | 1);
}

static uint32_t choice(const struct node *n, uint32_t x)
{
	uint32_t l = left(n, x), r = right(n, x);
	return l < r ? l : r + n->constant;
}

static uint64_t work(uint32_t rounds)
{
	uint64_t total = 0, state = 1;
	for (uint32_t round = 0; round < rounds; round++) {
		for (int i = 1; i < NODES; i++) {
			uint32_t kind = rnd(&state) % 3;
			nodes[i].constant = rnd(&state);
			if (i >= LEAVES)
				nodes[i].value = kind == 0 ? constant : variable;
			else
				nodes[i].value = kind == 0 ? sum : kind == 1 ? product : choice;
		}
		for (uint32_t x = 0; x < 20; x++)
			total = mix(total, nodes[1].value(&nodes[1], x));
	}
	return total;
}
