// SPDX-License-Identifier: Apache-2.0
// Uses something, says so, and then goes on doing nothing: "cpu MILLISECONDS",
// "memory MIB" or "file PATH MIB".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void cpu(long milliseconds)
{
	struct timespec from, now;

	clock_gettime(CLOCK_MONOTONIC, &from);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 <
		milliseconds);
}

static int memory(long mib)
{
	// volatile: what nobody reads is otherwise never allocated.
	volatile char *p = malloc(mib << 20);

	for (long i = 0; p && i < mib << 20; i += 4096)
		p[i] = 1;
	return p ? 0 : 1;
}

static int file(const char *path, long mib)
{
	static char block[1 << 20];
	FILE *f = fopen(path, "w");

	while (f && mib-- > 0)
		if (fwrite(block, sizeof block, 1, f) != 1)
			return 1;
	return f && !fclose(f) ? 0 : 1;
}

int main(int argc, char **argv)
{
	int failed = 2;

	if (argc == 3 && !strcmp(argv[1], "cpu")) {
		cpu(atol(argv[2]));
		failed = 0;
	} else if (argc == 3 && !strcmp(argv[1], "memory")) {
		failed = memory(atol(argv[2]));
	} else if (argc == 4 && !strcmp(argv[1], "file")) {
		failed = file(argv[2], atol(argv[3]));
	}
	if (failed) {
		perror(argv[0]);
		return failed;
	}
	puts("used");
	fflush(stdout);
	for (;;)
		sleep(3600);
}
