// SPDX-License-Identifier: Apache-2.0

// What is left of guests that are over is deleted by a thread of its own, so that nobody
// waits for that: their threads, memory and stacks, and the engine's objects. The
// latter close files by number, which the guest's thread has closed before it ended, and
// which would be those of others in any table of files but an empty one.

#include "internal.h"

#include <errno.h>
#include <linux/close_range.h>
#include <semaphore.h>
#include <sys/syscall.h>
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

static struct jail *take_all(void)
{
	pthread_mutex_lock(&lock);
	while (waiting == NULL)
		pthread_cond_wait(&wanted, &lock);
	struct jail *all = waiting;
	waiting = NULL;
	pthread_mutex_unlock(&lock);
	return all;
}

static sem_t ready;

static void *janitor(void *err_out)
{
	int *err = err_out;
	*err = syscall(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) == 0 ? 0 : errno;
	bool empty = *err == 0;
	sem_post(&ready); // err is gone after this
	while (empty) {
		struct jail *next;
		for (struct jail *j = take_all(); j != NULL; j = next) {
			next = j->next;
			jail_delete(j);
		}
	}
	return NULL;
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
