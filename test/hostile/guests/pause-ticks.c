// SPDX-License-Identifier: Apache-2.0
// Counts, is paused and resumed, and goes on to its end.
//
// exit: 0
// after: 5
// pause: resume
// stdout: 150
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	for (int i = 1; i <= 150; i++) {
		printf("%d\n", i);
		fflush(stdout);
		usleep(10000);
	}
	return 0;
}
