// SPDX-License-Identifier: Apache-2.0
// Sorting: 20,000 records per round, by key with quicksort, then by name with merge
// sort, which keeps the order of equal names.
#include "speed.h"

enum { N = 20000, NAME = 12 };

struct record {
	uint32_t key;
	char name[NAME];
	double value;
};

static struct record records[N], spare[N];

static void swap(struct record *x, struct record *y)
{
	struct record z = *x;
	*x = *y, *y = z;
}

static void insertion_sort(struct record *r, int n)
{
	for (int i = 1; i < n; i++)
		for (int j = i; j > 0 && r[j].key < r[j - 1].key; j--)
			swap(&r[j], &r[j - 1]);
}

static void quicksort(struct record *r, int n)
{
	while (n > 16) {
		int middle = n / 2, i = -1, j = n;
		if (r[middle].key < r[0].key)
			swap(&r[middle], &r[0]);
		if (r[n - 1].key < r[middle].key)
			swap(&r[n - 1], &r[middle]);
		if (r[middle].key < r[0].key)
			swap(&r[middle], &r[0]);
		uint32_t pivot = r[middle].key;
		for (;;) {
			while (r[++i].key < pivot)
				;
			while (r[--j].key > pivot)
				;
			if (i >= j)
				break;
			swap(&r[i], &r[j]);
		}
		quicksort(r + j + 1, n - j - 1);
		n = j + 1;
	}
	insertion_sort(r, n);
}

static int compare_names(const struct record *x, const struct record *y)
{
	for (int i = 0; i < NAME; i++)
		if (x->name[i] != y->name[i] || x->name[i] == 0)
			return x->name[i] - y->name[i];
	return 0;
}

static void merge_sort(struct record *r, struct record *tmp, int n)
{
	if (n < 2)
		return;
	int middle = n / 2, i = 0, j = middle, at = 0;
	merge_sort(r, tmp, middle);
	merge_sort(r + middle, tmp, n - middle);
	memcpy(tmp, r, (size_t)n * sizeof(*r));
	while (i < middle && j < n)
		r[at++] = compare_names(&tmp[i], &tmp[j]) <= 0 ? tmp[i++] : tmp[j++];
	while (i < middle)
		r[at++] = tmp[i++];
	while (j < n)
		r[at++] = tmp[j++];
}

static uint64_t work(uint32_t rounds)
{
	uint64_t sum = 0, state = 1;
	for (uint32_t round = 0; round < rounds; round++) {
		for (int i = 0; i < N; i++) {
			struct record *r = &records[i];
			r->key = rnd(&state) % (4 * N);
			r->value = rnd(&state);
			int length = 3 + (int)(rnd(&state) % (NAME - 4));
			for (int j = 0; j < NAME; j++)
				r->name[j] = j < length ? (char)('a' + rnd(&state) % 4) : 0;
		}
		quicksort(records, N);
		for (int i = 0; i < N; i += 7)
			sum = mix(sum, records[i].key);
		merge_sort(records, spare, N);
		for (int i = 0; i < N; i += 7)
			sum = mix(sum, records[i].key ^ (uint64_t)records[i].value);
	}
	return sum;
}
