// SPDX-License-Identifier: Apache-2.0
// Sleeps for the seconds given, or for ever, in poll_oneoff.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	puts("sleeping");
	fflush(stdout);
	do
		sleep(argc > 1 ? atoi(argv[1]) : 3600);
	while (argc < 2);
	return 0;
}
