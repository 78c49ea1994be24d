// SPDX-License-Identifier: Apache-2.0

// What is left of guests that are over is deleted by a thread of its own, so that nobody
// waits for that: their threads, memory and stacks, and the engine's objects. The
// latter close files by number, which the guest's thread has closed before it ended, and
// which would be those of others in any table of files but an empty one.
//
// A guest whose group is out of processor time may take long from telling its end to that
// of its thread. The others do not wait for it.

#include "internal.h"

#include <errno.h>
#include <linux/close_range.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER;
static struct jail *waiting;

void jail_free(struct jail *j)
{
	pthread_mutex_lock(&lock);
	j->next = waiting;
	waiting = j;
	pthread_mutex_unlock(&lock);
	pthread_cond_signal(&wanted);
}

// take_all adds to those that are left, and waits until there is one.
static struct jail *take_all(struct jail *left)
{
	pthread_mutex_lock(&lock);
	while (waiting == NULL && left == NULL)
		pthread_cond_wait(&wanted, &lock);
	struct jail **end = &waiting;
	while (*end != NULL)
		end = &(*end)->next;
	*end = left;
	struct jail *all = waiting;
	waiting = NULL;
	pthread_mutex_unlock(&lock);
	return all;
}

// is_gone says whether the thread is, or will be in so many milliseconds.
static bool is_gone(struct jail *j, int ms)
{
	if (!j->spawned)
		return true;
	struct timespec end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += ms * 1000000L;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	if (pthread_clockjoin_np(j->thread, NULL, CLOCK_MONOTONIC, &end) != 0)
		return false;
	j->spawned = 0;
	return true;
}

// delete_gone returns those whose threads are not gone.
static struct jail *delete_gone(struct jail *all)
{
	struct jail *left = NULL, *next;
	for (struct jail *j = all; j != NULL; j = next) {
		next = j->next;
		if (is_gone(j, 0)) {
			jail_delete(j);
		} else {
			j->next = left;
			left = j;
		}
	}
	return left;
}

static sem_t ready;

static void *janitor(void *err_out)
{
	int *err = err_out;
	*err = syscall(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) == 0 ? 0 : errno;
	bool empty = *err == 0;
	sem_post(&ready); // err is gone after this
	if (!empty)
		return NULL;
	for (struct jail *left = NULL;;) {
		left = delete_gone(take_all(left));
		// Most are gone at once; who comes meanwhile waits no longer than this.
		if (left != NULL)
			is_gone(left, 5);
	}
}

const char *jail_janitor_init(void)
{
	sem_init(&ready, 0, 0);
	pthread_t thread;
	int err;
	if (jail_make_thread(&thread, janitor, &err) != 0)
		return "no thread to delete guests";
	pthread_detach(thread);
	while (sem_wait(&ready) != 0)
		;
	return err == 0 ? NULL : "close_range: Linux 5.9 is needed";
}
