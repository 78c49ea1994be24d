// SPDX-License-Identifier: Apache-2.0

// What guests may have: each container its own limit of memory, and all together a
// budget, so that no number of guests takes the node's memory. Linear memory is charged
// as it grows, buffers of directories that are read as these are opened, and both count
// against the limit; against the budget alone stack as it is first used, and for each
// guest what the engine takes for an instance of its module. Go charges what the daemon
// has for all of them: loaded modules.

#include "internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t budget = UINT64_MAX, used;
static _Atomic uint64_t spare; // of what is used: what Go gives back when it is asked
static _Atomic int asked;      // futex

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

// add adds to what is used, if that is then not more than most. It is at no time more, also
// if that is refused: nobody else is to be refused for it.
static bool add(_Atomic uint64_t *to, uint64_t bytes, uint64_t most)
{
	uint64_t before = *to;
	do {
		if (before > most || bytes > most - before)
			return false;
	} while (!atomic_compare_exchange_weak(to, &before, before + bytes));
	return true;
}

static enum jail_refusal charge(struct jail *j, uint64_t bytes)
{
	if (!add(&used, bytes, budget))
		return JAIL_REFUSED_BUDGET;
	if (j != NULL)
		j->charged += bytes;
	return JAIL_REFUSED_NOTHING;
}

void jail_set_spare(uint64_t bytes)
{
	spare = bytes;
}

int jail_wait_asked(void)
{
	while (atomic_exchange(&asked, 0) == 0)
		jail_futex_wait(&asked, 0);
	return 0;
}

static void ask_for_spare(void)
{
	asked = 1;
	jail_futex_wake(&asked);
}

// with_spare is what there may be until the daemon has given back what is spare.
static uint64_t with_spare(void)
{
	uint64_t most = budget, more = spare;
	return most > UINT64_MAX - more ? UINT64_MAX : most + more;
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

static enum jail_refusal charge_both(struct jail *j, uint64_t bytes)
{
	// The limit may have become less than is used.
	if (!add(&j->limit->used, bytes, j->limit->bytes))
		return JAIL_REFUSED_LIMIT;
	enum jail_refusal refused = charge(j, bytes);
	if (refused != JAIL_REFUSED_NOTHING)
		j->limit->used -= bytes;
	return refused;
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

// fits_without_spare says whether there would be room if the daemon gave back what is
// spare, or whether there is by now.
static bool fits_without_spare(uint64_t bytes)
{
	uint64_t all = with_spare();
	return bytes <= all && used <= all - bytes;
}

// wait_a_little is a futex that nobody wakes: nanosleep is a call that a guest's seccomp
// profile may deny, or end it for.
static void wait_a_little(void)
{
	static _Atomic int never;
	struct timespec time = {.tv_nsec = 1000000};
	syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0);
}

typedef enum jail_refusal attempt(struct jail *, uint64_t);

// attempted tries once. It says whether another attempt may end better, in a moment: guests
// owe, or the daemon gives back what is spare.
static enum jail_refusal attempted(attempt *try, struct jail *j, uint64_t bytes, bool *again)
{
	bool owed = owing > 0; // when it is tried
	enum jail_refusal refused = try(j, bytes);
	*again = refused != JAIL_REFUSED_NOTHING && owed;
	if (refused == JAIL_REFUSED_BUDGET && fits_without_spare(bytes)) {
		ask_for_spare();
		*again = true;
	}
	return refused;
}

// patiently tries again as long as that makes sense, and not for long: a client that knows
// of the end of a guest may use what that had, as the next exec does in a container. A
// guest that is to end does not wait. It is for threads that hold no lock: guests', and with
// NULL the daemon's. Where Go holds a guest's lock, Go waits (guest.go).
static enum jail_refusal patiently(attempt *try, struct jail *j, uint64_t bytes)
{
	for (int ms = 0;; ms++) {
		bool again;
		enum jail_refusal refused = attempted(try, j, bytes, &again);
		if (!again || ms >= 500 || (j != NULL && j->killed))
			return refused;
		wait_a_little();
	}
}

static enum jail_refusal change_limit(struct jail *j, uint64_t bytes)
{
	uint64_t before = atomic_exchange(&j->limit->bytes, bytes);
	if (j->limit->used <= bytes)
		return JAIL_REFUSED_NOTHING;
	j->limit->bytes = before;
	return JAIL_REFUSED_LIMIT;
}

// once returns an error number.
static int once(attempt *try, struct jail *j, uint64_t bytes)
{
	bool again;
	if (attempted(try, j, bytes, &again) == JAIL_REFUSED_NOTHING)
		return 0;
	return again ? EBUSY : EDQUOT;
}

int jail_set_limit(struct jail *j, uint64_t bytes)
{
	return once(change_limit, j, bytes);
}

int jail_charge_overhead(struct jail *j, uint64_t bytes)
{
	return once(charge, j, bytes);
}

int jail_charge_daemon(uint64_t bytes)
{
	return patiently(charge, NULL, bytes) == JAIL_REFUSED_NOTHING ? 0 : -1;
}

void jail_repay_daemon(uint64_t bytes)
{
	used -= bytes;
}

static bool note(struct jail *j, enum jail_refusal refused)
{
	if (refused != JAIL_REFUSED_NOTHING)
		j->refused = refused;
	return refused == JAIL_REFUSED_NOTHING;
}

bool jail_charge(struct jail *j, uint64_t bytes)
{
	return note(j, patiently(charge, j, bytes));
}

// jail_charge_stack is for a signal handler, which does not wait: what is spare counts as
// given back already.
bool jail_charge_stack(struct jail *j, uint64_t bytes)
{
	if (charge(j, bytes) == JAIL_REFUSED_NOTHING)
		return true;
	if (!add(&used, bytes, with_spare()))
		return note(j, JAIL_REFUSED_BUDGET);
	ask_for_spare();
	j->charged += bytes;
	return true;
}

void jail_charge_anyway(struct jail *j, uint64_t bytes)
{
	used += bytes;
	j->charged += bytes;
}

// jail_prepay charges the memory that an instance starts with, before there is one.
bool jail_prepay(struct jail *j, uint64_t bytes)
{
	if (!note(j, patiently(charge_both, j, bytes)))
		return false;
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
	if (!note(j, patiently(charge_both, j, bytes)))
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
