// SPDX-License-Identifier: Apache-2.0

// Makes system calls on a thread like a guest's: one made by a thread that has loaded the
// filter. Reads them from stdin, a number and six arguments in each line, and writes the
// error of each, or 0. The number -1 is a call by the 32-bit entry of x86-64.

#include "../seccomp.c"

#include <stdio.h>

int jail_fail(struct jail *j, const char *step, const char *path)
{
	(void)j;
	(void)step;
	(void)path;
	return -1;
}

static int foreign(void)
{
#if defined(__x86_64__)
	long result = 20; // getpid
	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	return result < 0 ? (int)-result : 0;
#else
	return EPERM;
#endif
}

static void *guest(void *unused)
{
	long n, a[6];
	while (scanf("%ld %ld %ld %ld %ld %ld %ld", &n, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5]) ==
		7) {
		int err = 0;
		if (n == -1)
			err = foreign();
		else if (syscall(n, a[0], a[1], a[2], a[3], a[4], a[5]) == -1)
			err = errno;
		printf("%d\n", err);
		fflush(stdout);
	}
	return unused;
}

static void *spawner(void *unused)
{
	pthread_t thread;
	const char *err = jail_seccomp();
	if (err != NULL || pthread_create(&thread, NULL, guest, NULL) != 0)
		printf("%s\n", err != NULL ? err : "no thread");
	else
		pthread_join(thread, NULL);
	return unused;
}

int main(void)
{
	pthread_t thread;
	return pthread_create(&thread, NULL, spawner, NULL) != 0 || pthread_join(thread, NULL) != 0;
}
