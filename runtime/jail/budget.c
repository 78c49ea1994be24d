// SPDX-License-Identifier: Apache-2.0

// What guests may have: each container its own limit of memory, and all together a
// budget, so that no number of guests takes the node's memory. Linear memory is charged
// as it grows, buffers of directories that are read as these are opened, and both count
// against the limit; against the budget alone stack as it is first used, and for each
// guest what the engine takes for an instance of its module.

#include "internal.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t budget = UINT64_MAX, used;

void jail_set_budget(uint64_t bytes)
{
	budget = bytes;
}

uint64_t jail_budget(void)
{
	return budget;
}

uint64_t jail_budget_used(void)
{
	return used;
}

// add_within never adds what it refuses: others would be refused meanwhile. The bound may
// have become less than the sum is.
static bool add_within(_Atomic uint64_t *sum, uint64_t bytes, const _Atomic uint64_t *bound)
{
	uint64_t before = *sum;
	do {
		uint64_t most = *bound;
		if (before > most || bytes > most - before)
			return false;
	} while (!atomic_compare_exchange_weak(sum, &before, before + bytes));
	return true;
}

bool jail_charge(struct jail *j, uint64_t bytes)
{
	if (!add_within(&used, bytes, &budget)) {
		j->refused = JAIL_REFUSED_BUDGET;
		return false;
	}
	j->charged += bytes;
	return true;
}

void jail_charge_anyway(struct jail *j, uint64_t bytes)
{
	used += bytes;
	j->charged += bytes;
}

// What a container's guests may have together: its own, and its execs.
struct jail_limit {
	_Atomic int guests;
	_Atomic uint64_t used;
	_Atomic uint64_t bytes;
};

// jail_share_limit gives a guest the limit of another one, or one of its own. It fails
// for lack of memory only.
bool jail_share_limit(struct jail *j, uint64_t bytes, struct jail *beside)
{
	if (beside != NULL) {
		j->limit = beside->limit;
		j->limit->guests++;
		return true;
	}
	j->limit = calloc(1, sizeof(*j->limit));
	if (j->limit == NULL)
		return false;
	j->limit->guests = 1;
	j->limit->bytes = bytes;
	return true;
}

void jail_leave_limit(struct jail *j)
{
	if (j->limit != NULL && --j->limit->guests == 0)
		free(j->limit);
	j->limit = NULL;
}

uint64_t jail_limit(const struct jail *j)
{
	return j->limit->bytes;
}

uint64_t jail_limit_used(const struct jail *j)
{
	return j->limit->used;
}

static bool charge_limit(struct jail *j, uint64_t bytes)
{
	if (add_within(&j->limit->used, bytes, &j->limit->bytes))
		return true;
	j->refused = JAIL_REFUSED_LIMIT;
	return false;
}

static bool charge_both(struct jail *j, uint64_t bytes)
{
	if (!charge_limit(j, bytes))
		return false;
	if (jail_charge(j, bytes))
		return true;
	j->limit->used -= bytes;
	return false;
}

// Guests that are over, and have not given back yet what they were charged: that they
// are over is told before (janitor.c).
static _Atomic int owing;

void jail_owe(struct jail *j)
{
	j->owes = true;
	owing++;
}

// jail_repay leaves j->memory as it is, for the guest's result.
void jail_repay(struct jail *j)
{
	if (!j->owes)
		return;
	j->limit->used -= j->memory + j->prepaid;
	used -= j->charged;
	owing--;
}

// wait_a_little is a futex that nobody wakes: nanosleep is a call that a guest's seccomp
// profile may deny, or end it for.
static void wait_a_little(void)
{
	static _Atomic int never;
	struct timespec time = {.tv_nsec = 1000000};
	syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0);
}

// patiently tries again while guests owe, and not for long: a client that knows of the end
// of one may use what that had, as the next exec does in a container. A guest that is to
// end does not wait.
static bool patiently(bool (*try)(struct jail *, uint64_t), struct jail *j, uint64_t bytes)
{
	for (int ms = 0;; ms++) {
		bool may_change = owing > 0 && ms < 500 && !j->killed;
		if (try(j, bytes))
			return true;
		if (!may_change)
			return false;
		wait_a_little();
	}
}

static bool change_limit(struct jail *j, uint64_t bytes)
{
	uint64_t before = atomic_exchange(&j->limit->bytes, bytes);
	if (j->limit->used <= bytes)
		return true;
	j->limit->bytes = before;
	return false;
}

int jail_set_limit(struct jail *j, uint64_t bytes)
{
	return patiently(change_limit, j, bytes) ? 0 : -1;
}

bool jail_charge_overhead(struct jail *j, uint64_t bytes)
{
	if (!patiently(jail_charge, j, bytes))
		return false;
	j->refused = JAIL_REFUSED_NOTHING;
	return true;
}

// jail_prepay charges the memory that an instance starts with, before there is one.
bool jail_prepay(struct jail *j, uint64_t bytes)
{
	if (!patiently(charge_both, j, bytes))
		return false;
	j->refused = JAIL_REFUSED_NOTHING;
	j->prepaid = bytes;
	return true;
}

bool jail_charge_memory(struct jail *j, uint64_t bytes)
{
	if (bytes <= j->prepaid) {
		j->prepaid -= bytes;
		j->memory += bytes;
		return true;
	}
	if (!patiently(charge_both, j, bytes))
		return false;
	j->memory += bytes;
	j->refused = JAIL_REFUSED_NOTHING; // it made do with less
	return true;
}

void jail_uncharge(struct jail *j, uint64_t bytes)
{
	j->charged -= bytes;
	used -= bytes;
}

void jail_uncharge_memory(struct jail *j, uint64_t bytes)
{
	j->memory -= bytes;
	j->limit->used -= bytes;
	jail_uncharge(j, bytes);
}

uint64_t jail_memory(const struct jail *j)
{
	return j->phase == PHASE_DONE ? 0 : j->memory;
}
