// SPDX-License-Identifier: Apache-2.0
// Allocates and writes memory, one MiB at a time, until there is no more. With the
// argument "die" it then aborts, as programs without memory do.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	int mib = 0;

	// volatile: what nobody reads is otherwise never allocated.
	for (volatile char *p; (p = malloc(1 << 20)); mib++)
		for (int i = 0; i < 1 << 20; i += 4096)
			p[i] = 1;
	printf("allocated %d MiB\n", mib);
	fflush(stdout);
	if (argc > 1 && !strcmp(argv[1], "die"))
		abort();
	return 0;
}
