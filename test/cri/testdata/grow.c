// SPDX-License-Identifier: Apache-2.0
// Takes all the memory that there is for each line of its input, and says how many MiB it
// has then.
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	int mib = 0;

	for (char line[100]; fgets(line, sizeof(line), stdin);) {
		// volatile: what nobody reads is otherwise never allocated.
		for (volatile char *p; (p = malloc(1 << 20)); mib++)
			for (int i = 0; i < 1 << 20; i += 4096)
				p[i] = 1;
		printf("has %d MiB\n", mib);
		fflush(stdout);
	}
	return 0;
}
