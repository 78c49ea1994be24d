// SPDX-License-Identifier: Apache-2.0

// attempt PROGRAM RESULTS CALL... installs a seccomp program and makes system
// calls: a number and six arguments, separated by commas. For each it writes two
// words to RESULTS, which is large enough: what the call returned or its errno,
// negated, and whether SIGSYS came instead.

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sock_filter filter[BPF_MAXINSNS];
static volatile long trapped;

static void on_syscall(int sig)
{
	(void)sig;
	trapped = 1;
}

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int fd = open(argv[1], O_RDONLY);
	ssize_t size = read(fd, filter, sizeof(filter));
	if (size < 0)
		return fail(argv[1]);
	size_t n = (size_t)argc - 3;
	unsigned long(*calls)[7] = calloc(n + 1, sizeof(*calls));
	for (size_t i = 0; i < n; i++) {
		char *at = argv[i + 3];
		for (int k = 0; k < 7; k++, at += *at == ',')
			calls[i][k] = strtoul(at, &at, 10);
	}
	fd = open(argv[2], O_RDWR);
	long *results = mmap(NULL, n * 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (results == MAP_FAILED)
		return fail(argv[2]);
	signal(SIGSYS, on_syscall);

	struct sock_fprog program = {.len = (unsigned short)(size / 8), .filter = filter};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		return fail("install");
	for (size_t i = 0; i < n; i++) {
		const unsigned long *c = calls[i];
		trapped = 0;
		long got = syscall((long)c[0], c[1], c[2], c[3], c[4], c[5], c[6]);
		results[2 * i] = got < 0 ? -errno : got;
		results[2 * i + 1] = trapped;
	}
	syscall(SYS_exit, 0);
}
