// SPDX-License-Identifier: Apache-2.0

// News from guest threads to the one thread that waits for all of them. A
// guest's fd table is private, so there is no fd to write to: a list, to which a
// guest's thread adds itself, and a futex. There is no lock: a guest without
// processor time for a while would keep it, and all others would wait. No signal
// handler of ours comes here.

#include "internal.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic(struct jail *) latest; // with news, and through next, all before it
static _Atomic int news;              // futex: 1, not looked at yet
static struct jail *oldest;           // taken off that list, turned round

void jail_futex_wait(_Atomic int *addr, int value)
{
	syscall(SYS_futex, addr, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void jail_futex_wake(_Atomic int *addr)
{
	syscall(SYS_futex, addr, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

// jail_post: a thread that is in the list already is not added again. After
// JAIL_EV_EXITED is there, j may be gone.
void jail_post(struct jail *j, int events)
{
	if (atomic_fetch_or(&j->events, events) != 0)
		return;
	struct jail *before = latest;
	do
		j->next = before;
	while (!atomic_compare_exchange_weak(&latest, &before, j));
	if (atomic_exchange(&news, 1) == 0)
		jail_futex_wake(&news);
}

static void take_all(void)
{
	while (latest == NULL) {
		jail_futex_wait(&news, 0);
		news = 0;
	}
	struct jail *next, *j = atomic_exchange(&latest, NULL);
	for (; j != NULL; j = next) {
		next = j->next;
		j->next = oldest;
		oldest = j;
	}
}

int jail_wait_event(uint64_t *id, int *more)
{
	if (oldest == NULL)
		take_all();
	struct jail *j = oldest;
	oldest = j->next; // first: without events, j may be added again
	*more = oldest != NULL || latest != NULL;
	*id = j->id;
	return atomic_exchange(&j->events, 0);
}
