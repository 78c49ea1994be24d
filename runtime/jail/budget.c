// SPDX-License-Identifier: Apache-2.0

// What guests may have: each its own limit of linear memory, and all together a
// budget, so that no number of guests takes the node's memory. Linear memory is
// charged as it grows, stack as it is first used, and for each guest what the
// engine takes for an instance of its module.

#include "internal.h"

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

bool jail_charge(struct jail *j, uint64_t bytes)
{
	// Both fit: no guest has more than 47 bits of address space.
	if (atomic_fetch_add(&used, bytes) + bytes > budget) {
		used -= bytes;
		j->refused = JAIL_REFUSED_BUDGET;
		return false;
	}
	j->charged += bytes;
	return true;
}

bool jail_charge_memory(struct jail *j, uint64_t bytes)
{
	if (bytes <= j->prepaid) {
		j->prepaid -= bytes;
		j->memory += bytes;
		return true;
	}
	if (j->memory + bytes > j->spec->memory_limit) {
		j->refused = JAIL_REFUSED_LIMIT;
		return false;
	}
	if (!jail_charge(j, bytes))
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
	jail_uncharge(j, bytes);
}

// jail_uncharge_all leaves j->memory as it is, for the guest's result.
void jail_uncharge_all(struct jail *j)
{
	used -= j->charged;
	j->charged = 0;
}

uint64_t jail_memory(const struct jail *j)
{
	return j->phase == PHASE_DONE ? 0 : j->memory;
}
