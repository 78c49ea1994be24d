// SPDX-License-Identifier: Apache-2.0
// Prints a counter every 100 ms: so many times as the argument says, or for ever.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int n = 1;; n++) {
		printf("%d\n", n);
		fflush(stdout);
		if (argc > 1 && n >= atoi(argv[1]))
			return 0;
		usleep(100000);
	}
}
