// SPDX-License-Identifier: Apache-2.0
// Behaves well: prints a number and the time, in milliseconds of no particular
// clock, 20 times a second.
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	for (int n = 1;; n++) {
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		printf("%d %lld\n", n, now.tv_sec * 1000LL + now.tv_nsec / 1000000);
		fflush(stdout);
		usleep(50000);
	}
}
