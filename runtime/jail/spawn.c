// SPDX-License-Identifier: Apache-2.0

// Guest threads are made by one thread, the spawner, from which they inherit the
// seccomp filter, no_new_privs, the signal mask and the cgroup: installing a filter
// on each would cost every start 150 us.
//
// Some are made in advance, up to where they need to know for whom: a thread, its
// stack, its table of files and WASI's functions are half of a start.

#include "internal.h"

#include <errno.h>
#include <semaphore.h>

static pthread_mutex_t spawn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t spawn_wanted = PTHREAD_COND_INITIALIZER;
static struct jail *spawn_first, **spawn_last = &spawn_first;

static int make_thread(struct jail *j)
{
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);
	if (err != 0)
		return err;
	err = pthread_attr_setstack(&attr, j->stack, j->stack_size);
	if (err == 0)
		err = pthread_create(&j->thread, &attr, jail_thread_main, j);
	pthread_attr_destroy(&attr);
	return err;
}

void jail_spawn(struct jail *j)
{
	pthread_mutex_lock(&spawn_lock);
	*spawn_last = j;
	spawn_last = &j->next;
	pthread_cond_signal(&spawn_wanted);
	pthread_mutex_unlock(&spawn_lock);
}

// More are made when only FEW are left, and then all at once: to make one takes a
// processor that the guest's thread needs.
#define SPARES 8
#define FEW 4

static struct jail *spares;
static int n_spares;      // with those that are being made
static size_t spare_size; // of the stack: nearly all guests'; if not set, the first one's
static bool refill;       // until there are enough, or one cannot be made

void jail_set_spare_size(size_t bytes)
{
	pthread_mutex_lock(&spawn_lock);
	if (n_spares == 0)
		spare_size = jail_stack_size(bytes);
	pthread_mutex_unlock(&spawn_lock);
}

struct jail *jail_take_spare(size_t stack_size)
{
	pthread_mutex_lock(&spawn_lock);
	struct jail *j = NULL;
	if (spare_size == 0)
		spare_size = stack_size;
	if (spare_size == stack_size)
		j = spares;
	if (j != NULL) {
		spares = j->next;
		n_spares--;
	}
	bool few = n_spares <= FEW;
	if (few)
		refill = true;
	pthread_mutex_unlock(&spawn_lock);
	if (few)
		pthread_cond_signal(&spawn_wanted);
	return j;
}

void jail_offer_spare(struct jail *j, bool taken)
{
	pthread_mutex_lock(&spawn_lock);
	n_spares += taken; // else it was counted when it was made
	j->next = spares;
	spares = j;
	pthread_mutex_unlock(&spawn_lock);
}

// next_to_spawn returns NULL if there is none, and no memory for a spare one.
static struct jail *next_to_spawn(void)
{
	pthread_mutex_lock(&spawn_lock);
	while (spawn_first == NULL && !refill)
		pthread_cond_wait(&spawn_wanted, &spawn_lock);
	struct jail *j = spawn_first;
	if (j == NULL) {
		j = jail_new(spare_size);
		n_spares += j != NULL;
		refill = j != NULL && n_spares < SPARES;
	} else {
		spawn_first = j->next;
		if (spawn_first == NULL)
			spawn_last = &spawn_first;
	}
	pthread_mutex_unlock(&spawn_lock);
	return j;
}

// not_made is told to who waits for the thread; nobody waits for a spare one.
static void not_made(struct jail *j, int err)
{
	j->spawned = 0;
	if (j->ordered) {
		errno = err;
		jail_fail(j, "make a thread", NULL);
		jail_owe(j);
		jail_post(j, JAIL_EV_EXITED);
		return;
	}
	jail_delete(j);
	pthread_mutex_lock(&spawn_lock);
	refill = false;
	n_spares--;
	pthread_mutex_unlock(&spawn_lock);
}

static sem_t spawner_ready;

struct spawner {
	const char *cgroup; // to join, or NULL
	const char *err;
};

static const char *become_spawner(const char *cgroup)
{
	if (cgroup != NULL && jail_join_cgroup(cgroup) != 0)
		return "joining the cgroup of guests";
	return jail_seccomp();
}

static void *spawner(void *arg)
{
	struct spawner *s = arg;
	s->err = become_spawner(s->cgroup);
	int ok = s->err == NULL;
	sem_post(&spawner_ready); // s is gone after this
	while (ok) {
		struct jail *j = next_to_spawn();
		if (j == NULL)
			continue;
		// Before there is a thread: it may be over, and j reaped, before
		// pthread_create returns.
		j->spawned = 1;
		int code = make_thread(j);
		if (code != 0)
			not_made(j, code);
	}
	return NULL;
}

const char *jail_spawner_init(const char *cgroup)
{
	sem_init(&spawner_ready, 0, 0);
	struct spawner s = {.cgroup = cgroup};
	pthread_t thread;
	if (jail_make_thread(&thread, spawner, &s) != 0)
		return "no thread to make guests";
	pthread_detach(thread);
	while (sem_wait(&spawner_ready) != 0)
		;
	return s.err;
}
