// SPDX-License-Identifier: Apache-2.0

// News from guest threads to the one thread that waits for all of them. A
// guest's fd table is private, so there is no fd to write to: a queue and a
// condition variable. No signal handler of ours comes here.

#include "internal.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static struct jail *first, **last = &first;

void jail_futex_wait(_Atomic int *addr, int value)
{
	syscall(SYS_futex, addr, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void jail_futex_wake(_Atomic int *addr)
{
	syscall(SYS_futex, addr, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void jail_post(struct jail *j, int events)
{
	pthread_mutex_lock(&lock);
	if (j->events == 0) {
		j->next = NULL;
		*last = j;
		last = &j->next;
	}
	j->events |= events;
	pthread_mutex_unlock(&lock);
	pthread_cond_signal(&news); // after that: who wakes up wants the lock
}

int jail_wait_event(uint64_t *id, int *more)
{
	pthread_mutex_lock(&lock);
	while (first == NULL)
		pthread_cond_wait(&news, &lock);
	struct jail *j = first;
	first = j->next;
	if (first == NULL)
		last = &first;
	*more = first != NULL;
	int events = j->events;
	j->events = 0;
	*id = j->id;
	pthread_mutex_unlock(&lock);
	return events;
}
