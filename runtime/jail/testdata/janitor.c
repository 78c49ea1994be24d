// SPDX-License-Identifier: Apache-2.0

// Two guests are over. The thread of the first one is not gone for a while, as if it had
// no processor time: the second one is deleted meanwhile, and the first one after that.
// Exits with 1 if that is not so.

#include "../janitor.c"

#include <stdlib.h>

static sem_t go_on, deleted;
static struct jail *_Atomic last;

void jail_delete(struct jail *j)
{
	last = j;
	sem_post(&deleted);
}

int jail_make_thread(pthread_t *thread, void *(*main)(void *), void *arg)
{
	return pthread_create(thread, NULL, main, arg);
}

static void *stay(void *unused)
{
	sem_wait(&go_on);
	return unused;
}

static void *leave(void *unused)
{
	return unused;
}

static struct jail *over(void *(*main)(void *))
{
	struct jail *j = calloc(1, sizeof(*j));
	if (j == NULL || pthread_create(&j->thread, NULL, main, NULL) != 0)
		abort();
	j->spawned = 1;
	jail_free(j);
	return j;
}

static bool is_deleted(const struct jail *j)
{
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 60;
	return sem_timedwait(&deleted, &end) == 0 && last == j;
}

int main(void)
{
	sem_init(&go_on, 0, 0);
	sem_init(&deleted, 0, 0);
	if (jail_janitor_init() != NULL)
		return 2;
	const struct jail *first = over(stay), *second = over(leave);
	if (!is_deleted(second) || !is_deleted(over(leave)))
		return 1;
	sem_post(&go_on);
	return is_deleted(first) ? 0 : 1;
}
